-- How far is the branch from the tag it began at? Counted from metadata: no data file is opened.
DIFF STAT items VERSION 'launch', VERSION 'experiment';
