-- +goose Up

CREATE TABLE domains (
    project_id    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    host          TEXT NOT NULL,
    token         TEXT NOT NULL, -- what its TXT record says
    redirect_to   TEXT NOT NULL, -- another host of the project; '': it serves
    created_at    BIGINT NOT NULL,
    verified_at   BIGINT NOT NULL,
    missing_since BIGINT NOT NULL,
    stopped_at    BIGINT NOT NULL,
    checked_at    BIGINT NOT NULL,
    next_check    BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    records       TEXT NOT NULL, -- []DNSRecord, JSON
    PRIMARY KEY (project_id, host)
);
-- Many may claim a host, one has it.
CREATE UNIQUE INDEX domains_verified ON domains (host) WHERE verified_at > 0;
CREATE INDEX domains_due ON domains (next_check);

ALTER TABLE hosts ADD COLUMN redirect_to TEXT NOT NULL DEFAULT '';

-- +goose Down

ALTER TABLE hosts DROP COLUMN redirect_to;
DROP TABLE domains;
