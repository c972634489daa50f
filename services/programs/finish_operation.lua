-- Stores and sends the answer to an operation. ARGV: chip, fence, operation, session, user, batch with the answer for the
-- reply stream, seconds to charge, half_life_s, keep_s, reference and most crops to claim with the backlog. Returns that.
local chip, fence, operation, session, user, seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[7])
if lost_lease(chip, fence) then return LOST end
local key = operation_key(operation)
redis.call('HDEL', operations_key(chip), operation)
local reply_to = redis.call('HGET', key, 'reply_to')
if reply_to then
  redis.call('HSET', key, 'answer', ARGV[6])
  redis.call('HDEL', key, 'request')
  redis.call('EXPIRE', key, ARGV[9])
  send_reply(reply_to, ARGV[6])
end
if seconds > 0 then charge(chip, user, 'program', seconds, tonumber(ARGV[8])) end
if redis.call('EXISTS', job_key(session)) == 1 then
  redis.call('HINCRBYFLOAT', job_key(session), 'chip_time_s', string.format('%.6f', seconds))
  redis.call('HINCRBY', job_key(session), 'operations', 1)
end
return backlog(chip, ARGV[10], ARGV[11])
