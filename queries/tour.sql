-- A tour of lakesql over its sample lake: five days of a short-video app. Run it with
--     lakesql --sample -f queries/tour.sql

-- What is in the lake? Six tables in five formats, found by their own metadata; nothing was declared.
SHOW TABLES;

-- A question about the lake as it is now: how much was watched, and liked, on each day?
SELECT day, count(*) AS views, sum(CASE WHEN liked THEN 1 ELSE 0 END) AS likes, sum(watch_ms) / 1000 AS watched_s
FROM impressions
GROUP BY day
ORDER BY day;

-- The same question as somebody would have asked it when the third day ended. Two days are not there yet, and the likes of bots
-- and the rows of accounts that have been closed since are still counted.
SELECT day, count(*) AS views, sum(CASE WHEN liked THEN 1 ELSE 0 END) AS likes, sum(watch_ms) / 1000 AS watched_s
FROM impressions TIMESTAMP AS OF '2026-11-24T01:55:34Z'
GROUP BY day
ORDER BY day;

-- Both at once: what was liked at the end of day 2 and is not any more?
SELECT past.day, count(*) AS likes_gone
FROM impressions VERSION AS OF 4 AS past LEFT JOIN impressions AS now ON now.impression_id = past.impression_id
WHERE past.liked AND NOT coalesce(now.liked, false)
GROUP BY past.day
ORDER BY past.day;

-- And commit by commit? CHANGES reads a range of versions as rows inserted, updated and deleted, recorded or not.
SELECT _commit_version AS version, _change_type AS change, count(*) AS "rows"
FROM impressions CHANGES FROM VERSION 4 EXCLUSIVE TO VERSION 7
GROUP BY 1, 2
ORDER BY 1, 2;

-- items, an Iceberg table, records no changes; its files tell them all the same. What became of them since the third day ended, on balance?
SELECT _change_type AS change, count(*) AS items
FROM items CHANGES FROM TIMESTAMP '2026-11-24T01:55:34Z' WITH (mode = 'net', key = (item_id))
GROUP BY 1
ORDER BY 1;

-- users, a Paimon table, records its changes when it is compacted: of every update, the row as it was and as it is.
SELECT _commit_version AS version, _change_type AS change, count(*) AS users
FROM users CHANGES FROM VERSION 2 EXCLUSIVE TO VERSION 6
GROUP BY 1, 2
ORDER BY 1, 2;

-- Formats do not matter to a join: items are an Iceberg table, users a Paimon table with a primary key, impressions Delta.
SELECT i.category, u.country, count(*) AS views
FROM impressions p JOIN items i ON i.item_id = p.item_id JOIN users u ON u.user_id = p.user_id
WHERE p.day = DATE '2026-11-20'
GROUP BY i.category, u.country
ORDER BY views DESC, i.category, u.country
LIMIT 5;

-- What did it cost? Before a data file is opened, the table's own metadata says which of them cannot hold a row of the answer:
-- here four of five days go by the partition they lie in. EXPLAIN PRUNING lists them, each with the proof.
EXPLAIN PRUNING
SELECT item_id, watch_ms FROM impressions WHERE day = DATE '2026-11-20' AND watch_ms > 60000;

-- The predicate need not name the partition, nor stand in this table's own WHERE: statistics of every column count, and the optimiser
-- carries predicates through joins, views and subqueries. At version 12 the table still had its small files.
EXPLAIN PRUNING
WITH late AS (SELECT impression_id, user_id FROM impressions VERSION AS OF 12 WHERE ts >= TIMESTAMP '2026-11-19 12:00:00Z')
SELECT count(*) AS late_views FROM late WHERE user_id < 50;

-- Some answers need no data file at all.
EXPLAIN PRUNING SELECT count(*) AS views FROM impressions WHERE day = DATE '2026-11-20';

-- How did the table become what it is? Every table has its history, its files, its schema and more beside it.
SELECT version, "timestamp", operation FROM "impressions$history" ORDER BY version DESC LIMIT 5;

-- Two tables of the lake are Hudi and Lance: they are listed above, and a query on one says that its format is not read yet.
