-- +goose Up

ALTER TABLE users ADD COLUMN subject TEXT NOT NULL DEFAULT ''; -- id of the Supabase user; '': there is none
ALTER TABLE users ADD COLUMN tokens_from BIGINT NOT NULL DEFAULT 0; -- those issued before count no more
ALTER TABLE users ADD COLUMN disabled_at BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX users_by_subject ON users (subject) WHERE subject <> '';

ALTER TABLE sessions ADD COLUMN supabase BIGINT NOT NULL DEFAULT 0; -- 1: it ends with Supabase's token

CREATE TABLE supabase_keys (
    issuer     TEXT PRIMARY KEY,
    keys       TEXT NOT NULL, -- public ones, a JWK Set
    fetched_at BIGINT NOT NULL
);

-- +goose Down

DROP TABLE supabase_keys;
ALTER TABLE sessions DROP COLUMN supabase;
DROP INDEX users_by_subject;
ALTER TABLE users DROP COLUMN disabled_at;
ALTER TABLE users DROP COLUMN tokens_from;
ALTER TABLE users DROP COLUMN subject;
