-- Takes in parcels that came at the same time and need no record yet. ARGV: reply-to, most waiting
-- crops, then id, lane, deadline_ms, repeats, most waiting crops of its user, most chip seconds of its user in a day
-- ('' for no limit), count and bytes of each. Returns the chips to wake, and of each parcel its entry, or why there is
-- none: {'full'} or {'quota', name, used}.
local reply_to, most = ARGV[1], tonumber(ARGV[2])
local waiting, of = waiting_crops()
local places = {}
for i = 3, #ARGV, 8 do
  local id, lane, count = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 6])
  local user = user_of(lane)
  local own = of[user] or 0
  local place
  if own + count > (tonumber(ARGV[i + 4]) or math.huge) then
    place = {'quota', 'max_waiting_crops', own}
  elseif has_spent(user, ARGV[i + 5]) then
    place = spent(user)
  elseif waiting + count > most then
    place = {'full'}
  else
    waiting, of[user] = waiting + count, own + count
    place = add_part(lane, id, 0, ARGV[i + 6], reply_to, ARGV[i + 2], ARGV[i + 7], ARGV[i + 3])
  end
  places[#places + 1] = place
end
return {ring(), places}
