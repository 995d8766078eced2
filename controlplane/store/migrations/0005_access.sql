-- +goose Up

-- controlplane.AccessRow, JSON; null: everyone may look.
ALTER TABLE projects ADD COLUMN access TEXT NOT NULL DEFAULT 'null';

-- +goose Down

ALTER TABLE projects DROP COLUMN access;
