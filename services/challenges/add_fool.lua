-- Adds a drawing that fooled the chip; the oldest are forgotten. ARGV: board, id, JSON, most of a board, keep_s.
local fools = fools_of(ARGV[1])
redis.call('HSET', fools, ARGV[2], ARGV[3])
redis.call('EXPIRE', fools, ARGV[5])
local ids = redis.call('HKEYS', fools)
table.sort(ids)
for i = 1, #ids - tonumber(ARGV[4]) do redis.call('HDEL', fools, ids[i]) end
return 1
