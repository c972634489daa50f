-- Takes over the unanswered crops of this chip and of chips without a worker. ARGV: chip, fence, whether this chip's
-- former worker died (1) or this same one lost its way (0). Returns entries as claim_crops does, each with the number
-- of times it was claimed, not counting again for a worker that did not die; cancelled ones are dropped.
local chip, fence, died = ARGV[1], ARGV[2], ARGV[3] == '1'
if lost_lease(chip, fence) then return LOST end
local claimed = {}
for _, lane in ipairs(redis.call('SMEMBERS', LANES)) do
  local stream = lane_key(lane)
  for _, pending in ipairs(redis.call('XPENDING', stream, GROUP, '-', '+', 10000)) do
    local owner, deliveries = pending[2], pending[4]
    if owner == chip or redis.call('EXISTS', chip_key(owner, 'lease')) == 0 then
      local claims = (died or owner ~= chip) and deliveries + 1 or deliveries
      for _, entry in ipairs(redis.call('XCLAIM', stream, GROUP, chip, 0, pending[1], 'RETRYCOUNT', claims)) do
        local f = entry[2]
        local id, deadline = f[2], tonumber(f[10])
        local state = redis.call('HGET', job_key(id), 'state')
        if (state and is_final(state)) or is_abandoned(lane, entry[1], tonumber(f[6])) then
          forget_entry(lane, entry[1], true)
        else
          local expired = deadline > 0 and deadline < NOW_MS and 1 or 0
          local accepted_ms = string.match(entry[1], '^(%d+)')
          claimed[#claimed + 1] = {lane, entry[1], id, f[4], f[6], f[8], f[12], expired, accepted_ms, f[14], claims}
        end
      end
    end
  end
end
return claimed
