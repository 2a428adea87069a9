-- Bots' likes are taken back. In which countries, and how long had they watched? Commit by commit, from the rows before and after.
SELECT u.country, count(*) AS taken_back, sum(before.watch_ms) / 1000 AS watched_s
FROM impressions CHANGES FROM VERSION 1 TO VERSION 16 AS before
JOIN impressions CHANGES FROM VERSION 1 TO VERSION 16 AS after
  ON after.impression_id = before.impression_id AND after._commit_version = before._commit_version
JOIN users u ON u.user_id = before.user_id
WHERE before._change_type = 'update_preimage' AND after._change_type = 'update_postimage' AND before.liked AND NOT after.liked
GROUP BY u.country
ORDER BY taken_back DESC, u.country
LIMIT 5;
