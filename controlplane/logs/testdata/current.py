"""Runs SQL statements on a current ClickHouse, as a library, in an empty directory.

Standard input: a JSON array of statements. Standard output: for each a line of
JSON, {"rows": [[text, ...], ...], "read": number of rows that were read} or
{"error": text}; the first is the version's.
"""

import json
import sys

from chdb import session

connection = session.Session(sys.argv[1])
for sql in ["SELECT version()"] + json.load(sys.stdin):
    try:
        answer = json.loads(str(connection.query(sql, "JSONCompactStrings")) or '{"data": [], "statistics": {"rows_read": 0}}')
        print(json.dumps({"rows": answer["data"], "read": answer["statistics"]["rows_read"]}))
    except Exception as e:  # whatever it is, the test shows it
        print(json.dumps({"error": str(e)}))
