CREATE TABLE goose_db_version (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id INTEGER NOT NULL,
    is_applied INTEGER NOT NULL,
    tstamp     TIMESTAMP DEFAULT (datetime('now'))
);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1);

CREATE TABLE lines (
    deployment TEXT NOT NULL,
    attempt    BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    time       BIGINT NOT NULL,
    stream     TEXT NOT NULL,
    phase      TEXT NOT NULL,
    text       TEXT NOT NULL,
    PRIMARY KEY (deployment, attempt, seq)
) WITHOUT ROWID;
INSERT INTO lines VALUES
    ('old', 1, 1, 1777852799000000, 'stdout', 'build', 'a'),
    ('old', 1, 2, 1777852801000000, 'stdout', 'build', 'b'),
    ('young', 1, 1, 1777852800000000, 'stdout', 'build', 'c');
