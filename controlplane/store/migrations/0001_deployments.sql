-- Portable SQL: the same statements run on SQLite and PostgreSQL. Times are
-- microseconds since 1970 in UTC, 0 is none; booleans are 0 and 1.

-- +goose Up

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  BIGINT NOT NULL
);

CREATE TABLE projects (
    id                TEXT PRIMARY KEY,
    seq               BIGINT NOT NULL UNIQUE,
    user_id           TEXT NOT NULL,
    name              TEXT NOT NULL,
    sub_domain        TEXT NOT NULL UNIQUE,
    custom_domain     TEXT NOT NULL,
    git_url           TEXT NOT NULL,
    production_branch TEXT NOT NULL,
    credentials       TEXT NOT NULL, -- sealed, in base64
    build             TEXT NOT NULL, -- site.BuildSettings, JSON
    state             TEXT NOT NULL,
    pinned            BIGINT NOT NULL,
    generation        BIGINT NOT NULL,
    published         BIGINT NOT NULL,
    collect_at        BIGINT NOT NULL, -- when its bucket has something to free
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);
CREATE INDEX projects_by_user ON projects (user_id, seq);
CREATE INDEX projects_dirty ON projects (generation) WHERE generation > published;

CREATE TABLE deployments (
    id              TEXT PRIMARY KEY,
    seq             BIGINT NOT NULL UNIQUE,
    host_id         TEXT NOT NULL,
    project_id      TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id         TEXT NOT NULL,
    kind            TEXT NOT NULL,
    status          TEXT NOT NULL,
    reason          TEXT NOT NULL,
    environment     TEXT NOT NULL,
    auto            BIGINT NOT NULL,
    promoted        BIGINT NOT NULL,
    dispatchable    BIGINT NOT NULL,
    attempt         BIGINT NOT NULL,
    phase           TEXT NOT NULL,
    phases          TEXT NOT NULL, -- []PhaseTimes, JSON
    source          TEXT NOT NULL, -- site.Source, JSON
    branch          TEXT NOT NULL, -- of source
    want_branch     TEXT NOT NULL,
    want_commit     TEXT NOT NULL,
    message         TEXT NOT NULL,
    no_cache        BIGINT NOT NULL,
    retry_of        TEXT NOT NULL,
    files           BIGINT NOT NULL,
    bytes           BIGINT NOT NULL,
    uploaded_blobs  BIGINT NOT NULL,
    warnings        TEXT NOT NULL, -- []Warning, JSON
    idempotency_key TEXT NOT NULL,
    archive_size    BIGINT NOT NULL,
    archive_key     TEXT NOT NULL,
    not_before      BIGINT NOT NULL,
    claimed_by      TEXT NOT NULL,
    claim_until     BIGINT NOT NULL,
    handle          TEXT NOT NULL,
    heard_at        BIGINT NOT NULL,
    phase_at        BIGINT NOT NULL,
    last_seq        BIGINT NOT NULL,
    has_manifest    BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    started_at      BIGINT NOT NULL,
    ended_at        BIGINT NOT NULL,
    live_at         BIGINT NOT NULL,
    removed_at      BIGINT NOT NULL,
    UNIQUE (project_id, host_id)
);
CREATE INDEX deployments_by_project ON deployments (project_id, seq);
CREATE INDEX deployments_by_status ON deployments (status, seq);
CREATE INDEX deployments_not_live ON deployments (seq) WHERE status = 'READY' AND live_at = 0;
CREATE UNIQUE INDEX deployments_by_key ON deployments (user_id, idempotency_key) WHERE idempotency_key <> '';

-- No foreign keys: a host outlives its project, as a tombstone.
CREATE TABLE hosts (
    host            TEXT PRIMARY KEY,
    project_id      TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    role            TEXT NOT NULL,
    branch          TEXT NOT NULL,
    deployment_id   TEXT NOT NULL,
    previous        TEXT NOT NULL, -- []site.Previous, JSON
    taken_seq       BIGINT NOT NULL,
    gone            BIGINT NOT NULL,
    protected_until BIGINT NOT NULL,
    generation      BIGINT NOT NULL,
    published       BIGINT NOT NULL,
    published_at    BIGINT NOT NULL
);
CREATE INDEX hosts_by_project ON hosts (project_id, role);
CREATE INDEX hosts_by_deployment ON hosts (deployment_id);
CREATE INDEX hosts_dirty ON hosts (generation) WHERE generation > published;

CREATE TABLE claims (
    hash       TEXT PRIMARY KEY, -- sha256 of the token
    deployment TEXT NOT NULL,
    attempt    BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    detection  BIGINT NOT NULL,
    expires    BIGINT NOT NULL
);

CREATE TABLE detections (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    input      TEXT NOT NULL, -- DetectInput, JSON
    ended      BIGINT NOT NULL,
    result     TEXT NOT NULL, -- site.Detection, JSON
    reason     TEXT NOT NULL,
    handle     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deadline   BIGINT NOT NULL
);

-- +goose Down

DROP TABLE detections;
DROP TABLE claims;
DROP TABLE hosts;
DROP TABLE deployments;
DROP TABLE projects;
DROP TABLE leases;
DROP TABLE counters;
