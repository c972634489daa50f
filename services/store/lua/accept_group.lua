-- Takes in requests of one part each that came at the same time and need no record yet. ARGV: reply-to, most waiting
-- crops, then id, lane, deadline_ms, repeats, count and bytes of each. Returns the chips to wake, and the entry of each
-- request, or nothing for one that there is no room for.
local reply_to, most = ARGV[1], tonumber(ARGV[2])
local waiting = all_waiting_crops()
local places = {}
for i = 3, #ARGV, 6 do
  local count = tonumber(ARGV[i + 4])
  if waiting + count > most then
    places[#places + 1] = ''
  else
    waiting = waiting + count
    places[#places + 1] = add_part(ARGV[i + 1], ARGV[i], 0, ARGV[i + 4], reply_to, ARGV[i + 2], ARGV[i + 5], ARGV[i + 3])
  end
end
return {ring(), places}
