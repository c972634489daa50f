-- Accepts an operation of an open session, once. ARGV: session, operation, digest of the request, reply stream, most chip
-- seconds of the user in a day ('' for no limit), most operations that wait, digest of weights to find or to keep ('' for
-- neither), the weights to keep ('' to find them), keep_s, request, the user ('' for one who may use every session), and
-- the span of the request if it is sampled.
-- Returns {'waiting', chips to wake}, {'answered', batch with the answer}, {'closed'} where the user has no such open
-- session, {'drained', drain}, {'unknown'}, {'conflict'}, {'full'} or {'quota', name, used, seconds to wait}.
local session, operation, digest, reply_to = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local record = redis.call('HMGET', job_key(session), 'state', 'user', 'params', 'kind')
if record[4] ~= '"program"' or is_final(record[1]) or (ARGV[11] ~= '' and name_in(record[2]) ~= ARGV[11]) then
  return {'closed'}
end
local user, chip = name_in(record[2]), cjson.decode(record[3]).chip
redis.call('ZADD', PROGRAMS, NOW, session)
local key = operation_key(operation)
local before = redis.call('HMGET', key, 'digest', 'answer')
if before[1] and before[1] ~= digest then return {'conflict'} end
if before[2] then return {'answered', before[2]} end
if before[1] then
  redis.call('HSET', key, 'reply_to', reply_to)
  return {'waiting', {}}
end
local drain = redis.call('GET', chip_key(chip, 'drain'))
if drain then return {'drained', drain} end
if has_spent(user, ARGV[5]) then return spent(user) end
local waiting = operations_key(chip)
if redis.call('HLEN', waiting) >= tonumber(ARGV[6]) then return {'full'} end
local weights = weights_key(session)
if ARGV[8] ~= '' then
  if redis.call('HLEN', weights) >= MOST_KEPT_WEIGHTS then redis.call('DEL', weights) end
  redis.call('HSET', weights, ARGV[7], ARGV[8])
  redis.call('EXPIRE', weights, KEEP_WEIGHTS_S)
elseif ARGV[7] ~= '' then
  if redis.call('HEXISTS', weights, ARGV[7]) == 0 then return {'unknown'} end
  if redis.call('TTL', weights) < KEEP_WEIGHTS_S / 2 then redis.call('EXPIRE', weights, KEEP_WEIGHTS_S) end
end
redis.call('HSET', key, 'digest', digest, 'reply_to', reply_to, 'request', ARGV[10])
if ARGV[12] then redis.call('HSET', key, 'trace', ARGV[12]) end
redis.call('EXPIRE', key, ARGV[9])
redis.call('HSET', waiting, operation, session .. ' ' .. user .. ' ' .. NOW_MS)
return {'waiting', ring_chips({chip})}
