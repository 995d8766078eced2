-- +goose Up

-- sha256 of the manifest that was handed in last, in hex.
ALTER TABLE deployments ADD COLUMN manifest_hash TEXT NOT NULL DEFAULT '';

-- +goose Down

ALTER TABLE deployments DROP COLUMN manifest_hash;
