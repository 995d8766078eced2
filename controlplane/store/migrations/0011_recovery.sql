-- +goose Up

CREATE TABLE reports (
    name    TEXT PRIMARY KEY,
    made_at BIGINT NOT NULL,
    body    TEXT NOT NULL -- JSON
);

-- Records in the bucket tell more than they did: they are published again, and
-- of the routes those that have something to tell.
UPDATE counters SET value = value + 1 WHERE name = 'generation';
UPDATE projects SET generation = (SELECT value FROM counters WHERE name = 'generation')
WHERE EXISTS (SELECT 1 FROM counters WHERE name = 'generation');
UPDATE hosts SET generation = (SELECT value FROM counters WHERE name = 'generation')
WHERE EXISTS (SELECT 1 FROM counters WHERE name = 'generation') AND gone = 0 AND (
    role = 'branch' OR
    role = 'production' AND EXISTS (SELECT 1 FROM projects p WHERE p.id = hosts.project_id AND p.pinned = 1) OR
    role = 'deployment' AND EXISTS (SELECT 1 FROM deployments d WHERE d.id = hosts.deployment_id AND (d.environment = 'production' OR d.promoted = 1)));

-- +goose Down

DROP TABLE reports;
