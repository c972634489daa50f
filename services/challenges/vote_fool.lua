-- Takes the vote of a user on a drawing that fooled the chip. It counts for who drew it once two voted, and more than half
-- read what was meant. ARGV: board, id, user, digit, keep_s. Returns the drawing as JSON; nothing if it is gone, the user's
-- own or voted on before.
local board, id, user, digit, keep_s = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local text = redis.call('HGET', fools_of(board), id)
if not text then return false end
local fool = cjson.decode(text)
if fool.user == user or redis.call('HSETNX', votes_of(board), id .. ':' .. user, digit) == 0 then return false end
redis.call('EXPIRE', votes_of(board), keep_s)
fool.votes = fool.votes + 1
if digit == fool.digit then fool.agreed = fool.agreed + 1 end
if not fool.counts and fool.votes >= 2 and 2 * fool.agreed > fool.votes then
  fool.counts = true
  redis.call('ZINCRBY', scores_of(board, 'fool'), 1, fool.user)
  redis.call('EXPIRE', scores_of(board, 'fool'), keep_s)
end
text = cjson.encode(fool)
redis.call('HSET', fools_of(board), id, text)
return text
