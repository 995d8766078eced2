-- +goose Up

CREATE TABLE lines (
    deployment TEXT NOT NULL,
    attempt    BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    time       BIGINT NOT NULL, -- microseconds since 1970
    stream     TEXT NOT NULL,
    phase      TEXT NOT NULL,
    text       TEXT NOT NULL,
    PRIMARY KEY (deployment, attempt, seq)
) WITHOUT ROWID;

-- +goose Down

DROP TABLE lines;
