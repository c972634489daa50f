-- Deletes the crops that are kept of a user. ARGV: user. Returns the number of answers.
return forget_kept(ARGV[1])
