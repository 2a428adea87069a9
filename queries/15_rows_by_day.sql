-- Delta, five versions in one statement: how many impressions did the table hold when each day ended? Rows leave it too: bots and closed accounts are deleted.
SELECT 1 AS day, count(*) AS impressions FROM impressions VERSION AS OF 1
UNION ALL SELECT 2, count(*) FROM impressions VERSION AS OF 4
UNION ALL SELECT 3, count(*) FROM impressions VERSION AS OF 7
UNION ALL SELECT 4, count(*) FROM impressions VERSION AS OF 12
UNION ALL SELECT 5, count(*) FROM impressions VERSION AS OF 16
ORDER BY day;
