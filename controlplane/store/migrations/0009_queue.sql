-- What the queue asks for: what waits, what runs, and when the builds of an owner
-- and of a project last began.

-- +goose Up

CREATE INDEX deployments_waiting ON deployments (project_id, seq, not_before)
    WHERE status = 'QUEUED' AND dispatchable = 1 AND removed_at = 0;
CREATE INDEX deployments_building ON deployments (project_id, user_id)
    WHERE status = 'IN_PROGRESS' AND kind <> 'files';
CREATE INDEX deployments_begun_by_user ON deployments (user_id, started_at) WHERE kind <> 'files';
CREATE INDEX deployments_begun_by_project ON deployments (project_id, started_at) WHERE kind <> 'files';

-- +goose Down

DROP INDEX deployments_begun_by_project;
DROP INDEX deployments_begun_by_user;
DROP INDEX deployments_building;
DROP INDEX deployments_waiting;
