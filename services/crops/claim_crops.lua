-- Claims waiting crops for one batch. ARGV: chip, fence, then lane and number of crops of each grant.
-- Returns entries {lane, entry, id, part, count, reply-to, crops, expired, accepted_ms, repeats}; cancelled ones are dropped.
local chip, fence = ARGV[1], ARGV[2]
if lost_lease(chip, fence) then return LOST end
local claimed = {}
for i = 3, #ARGV, 2 do claim_lane(chip, ARGV[i], tonumber(ARGV[i + 1]), claimed) end
return claimed
