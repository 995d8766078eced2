-- +goose Up
-- since when a change waits to be published; 0: not known
ALTER TABLE hosts ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE hosts DROP COLUMN changed_at;
ALTER TABLE projects DROP COLUMN changed_at;
