-- Changes a job if it is in one of the states named. ARGV: chip ('' when no worker writes), fence, id,
-- states (JSON texts joined by commas), event, keep_s, half_life_s, kind, user, seconds to charge, fields...
local chip, fence, id, states, event, keep_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if chip ~= '' and lost_lease(chip, fence) then return LOST end
local state = redis.call('HGET', job_key(id), 'state')
if not state then return 'missing' end
if not string.find(states, state, 1, true) then return state end
-- A job that runs on another chip belongs to that chip, as long as it has a worker.
if chip ~= '' and state == '"running"' then
  local owner = cjson.decode(redis.call('HGET', job_key(id), 'provenance') or '{}').chip
  if owner and owner ~= chip and redis.call('EXISTS', chip_key(owner, 'lease')) == 1 then return 'elsewhere' end
end
local seconds = tonumber(ARGV[10])
if seconds > 0 then
  charge(chip, ARGV[9], ARGV[8], seconds, tonumber(ARGV[7]))
  redis.call('HINCRBYFLOAT', job_key(id), 'chip_time_s', string.format('%.6f', seconds))
end
change(id, {unpack(ARGV, 11)}, event, keep_s)
return 'done'
