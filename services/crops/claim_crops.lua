-- What there is to do for a chip, and a claim of crops for its next batch. ARGV: chip, fence, reference and most crops to
-- claim where nothing else waits (now, or as soon as some come), then lane and number of crops of each grant.
-- Returns a backlog: lanes with what waits in each, revision of the long jobs, charged seconds, the time, the drain and
-- the claimed entries {lane, entry, id, part, count, reply-to, crops, expired, accepted_ms, repeats, claims (, extras
-- (, trace))}.
local chip, fence = ARGV[1], ARGV[2]
if lost_lease(chip, fence) then return LOST end
local seen = backlog(chip, ARGV[3], ARGV[4])
for i = 5, #ARGV, 2 do claim_lane(chip, ARGV[i], tonumber(ARGV[i + 1]), seen[6]) end
return seen
