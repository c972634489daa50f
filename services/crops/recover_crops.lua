-- Takes over the unanswered crops of this chip and of chips without a worker. ARGV: chip, fence, whether this chip's
-- former worker died (1) or this same one lost its way (0). Returns entries as claim_crops does, each with the number
-- of times it was claimed, not counting again for a worker that did not die.
local chip, fence, died = ARGV[1], ARGV[2], ARGV[3] == '1'
if lost_lease(chip, fence) then return LOST end
redis.call('DEL', chip_key(chip, 'bell')) -- crops given with it are recovered
local claimed = {}
for _, lane in ipairs(redis.call('SMEMBERS', LANES)) do
  local stream = lane_key(lane)
  for _, pending in ipairs(redis.call('XPENDING', stream, GROUP, '-', '+', 10000)) do
    local owner, deliveries = pending[2], pending[4]
    if owner == chip or redis.call('EXISTS', chip_key(owner, 'lease')) == 0 then
      local claims = (died or owner ~= chip) and deliveries + 1 or deliveries
      for _, entry in ipairs(redis.call('XCLAIM', stream, GROUP, chip, 0, pending[1], 'RETRYCOUNT', claims)) do
        local _, decoded = decode(lane, entry, claims)
        claimed[#claimed + 1] = decoded
      end
    end
  end
end
return claimed
