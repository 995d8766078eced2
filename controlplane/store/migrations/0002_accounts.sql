-- Secrets (sessions, tokens, codes) are kept as the hex of their sha256.

-- +goose Up

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL, -- in lower case; '': nobody has taken the owner over
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL, -- argon2id, PHC string; '': nobody can sign in
    admin         BIGINT NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_by_email ON users (email);

CREATE TABLE sessions (
    hash       TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE tokens (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash         TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    scope        BIGINT NOT NULL, -- 1 read, 2 deploy, 3 admin
    local        BIGINT NOT NULL, -- up's own CLI
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX tokens_by_user ON tokens (user_id, created_at);

CREATE TABLE codes (
    hash       TEXT PRIMARY KEY,
    purpose    TEXT NOT NULL, -- setup or invitation
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL -- 0: never
);

CREATE TABLE env_vars (
    project_id   TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    key          TEXT NOT NULL,
    sealed       TEXT NOT NULL, -- the encrypted value, in base64
    size         BIGINT NOT NULL, -- of the value, in bytes
    secret       BIGINT NOT NULL,
    environments TEXT NOT NULL, -- JSON
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (project_id, key)
);

-- +goose Down

DROP TABLE env_vars;
DROP TABLE codes;
DROP TABLE tokens;
DROP TABLE sessions;
DROP TABLE users;
