-- +goose Up

CREATE TABLE logs (
    deployment TEXT NOT NULL PRIMARY KEY,
    created    BIGINT NOT NULL,           -- when the deployment was: microseconds since 1970
    deleted    BIGINT NOT NULL DEFAULT 0  -- 1: lines that come late are dropped
) WITHOUT ROWID;

CREATE INDEX logs_created ON logs (created);

-- Of older logs the first line's time is as good.
INSERT INTO logs (deployment, created) SELECT deployment, MIN(time) FROM lines GROUP BY deployment;

-- +goose Down

DROP TABLE logs;
