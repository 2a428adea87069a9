-- What became of the users between two versions of their table? Rows of one primary key are told as updates.
SELECT _change_type, count(*) AS users, count(language) AS with_language, sum(followers) AS followers
FROM DIFF(users, 3, 7)
GROUP BY _change_type
ORDER BY _change_type;
