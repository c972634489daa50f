-- Claims waiting crops for one batch. ARGV: chip, fence, then lane and number of crops of each grant. Of each lane at
-- most its last part goes beyond the grant: a part is known only when it is claimed, so no more are read at once than
-- fit if each is as large as the lane's largest can be: the largest there is, or all others being of one crop.
-- Returns entries {lane, entry, id, part, count, reply-to, crops, expired, accepted_ms, repeats}; cancelled ones are dropped.
local chip, fence = ARGV[1], ARGV[2]
if lost_lease(chip, fence) then return LOST end
local claimed = {}
for i = 3, #ARGV, 2 do
  local lane, grant = ARGV[i], tonumber(ARGV[i + 1])
  local stream = lane_key(lane)
  local crops, entries, oldest = waiting_of(lane)
  local last = nil
  while grant > 0 and entries > 0 do
    local at_once = math.max(1, math.floor(grant / math.min(PART_CROPS, crops - entries + 1)))
    local read = redis.call('XREADGROUP', 'GROUP', GROUP, chip, 'COUNT', at_once, 'STREAMS', stream, '>')
    if not read then
      entries = 0
      break
    end
    for _, entry in ipairs(read[1][2]) do
      local f = entry[2] -- id, part, count, reply, deadline, crops: in the order of add_part
      local id, count, deadline = f[2], tonumber(f[6]), tonumber(f[10])
      local state = redis.call('HGET', job_key(id), 'state')
      last, crops, entries, grant = entry[1], crops - count, entries - 1, grant - count
      if (state and is_final(state)) or is_abandoned(lane, entry[1], count) then
        forget_entry(lane, entry[1])
      else
        local expired = deadline > 0 and deadline < NOW_MS
        if state and not expired then start_if_queued(id) end
        local accepted_ms = string.match(entry[1], '^(%d+)')
        claimed[#claimed + 1] = {lane, entry[1], id, f[4], f[6], f[8], f[12], expired and 1 or 0, accepted_ms, f[14]}
      end
    end
  end
  if last then
    local next_one = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)[1]
    if next_one then oldest = tonumber(string.match(next_one[1], '^(%d+)')) else entries = 0 end
  end
  set_waiting(lane, crops, entries, oldest)
end
return claimed
