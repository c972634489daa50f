-- Puts a chip into maintenance, or ends that. ARGV: chip, drain (JSON, '' to end it).
-- Returns whether the chip is known, and the chips to wake.
local chip, drain = ARGV[1], ARGV[2]
if redis.call('SISMEMBER', CHIPS, chip) == 0 then return {0, {}} end
if drain == '' then
  redis.call('DEL', chip_key(chip, 'drain'))
else
  redis.call('SET', chip_key(chip, 'drain'), drain)
end
return {1, ring()}
