-- +goose Up
-- attempts of a deployment whose builder never ran, for want of room
ALTER TABLE deployments ADD COLUMN unstarted BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE deployments DROP COLUMN unstarted;
