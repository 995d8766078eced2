-- +goose Up

-- Everything that is asked often is found by an index, so that it does not slow
-- down with what is kept, and transactions that read it are in conflict with few.
CREATE INDEX deployments_by_user ON deployments (user_id, seq);
CREATE INDEX hosts_with_previous ON hosts (published_at) WHERE previous <> 'null' AND previous <> '[]';
CREATE INDEX projects_deleted ON projects (seq) WHERE state = 'deleted';
CREATE INDEX projects_collectable ON projects (collect_at) WHERE collect_at > 0;
CREATE INDEX claims_by_expiry ON claims (expires);
CREATE INDEX detections_by_deadline ON detections (deadline) WHERE ended = 0;
CREATE INDEX detections_by_creation ON detections (created_at);

-- +goose Down

DROP INDEX detections_by_creation;
DROP INDEX detections_by_deadline;
DROP INDEX claims_by_expiry;
DROP INDEX projects_collectable;
DROP INDEX projects_deleted;
DROP INDEX hosts_with_previous;
DROP INDEX deployments_by_user;
