-- +goose Up

-- Who holds a project's lock: whoever took it last writes a new token here, so
-- that a former holder, whose connection broke, writes nothing more.
CREATE TABLE project_locks (
    project_id TEXT PRIMARY KEY,
    token      TEXT NOT NULL
);

-- What is true of the whole database: master_key is a fingerprint of the key
-- that its secrets are sealed with.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- +goose Down

DROP TABLE facts;
DROP TABLE project_locks;
