-- Takes the reading of a drawing in a game of sixty seconds. ARGV: user, game, place of the prompt, digit that was read
-- (10 to go on without), board, keep_s. Returns {'missing'}, or {'over', 'stale' or 'taken', next place, right ones}.
local user, game, place, read = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local key = game_key(user, game)
local prompts, at, right, ends = unpack(redis.call('HMGET', key, 'prompts', 'at', 'right', 'ends'))
if not prompts then return {'missing'} end
at, right = tonumber(at), tonumber(right)
if NOW > tonumber(ends) or at >= #prompts then return {'over', at, right} end
if place ~= at then return {'stale', at, right} end
local is_right = read == tonumber(string.sub(prompts, at + 1, at + 1))
if is_right or read == 10 then at = at + 1 end
if is_right then
  right = right + 1
  redis.call('ZADD', scores_of(ARGV[5], 'sixty'), 'GT', right, user)
  redis.call('EXPIRE', scores_of(ARGV[5], 'sixty'), ARGV[6])
end
redis.call('HSET', key, 'at', at, 'right', right)
return {'taken', at, right}
