-- Keeps a correction of an answer with its crop; the last word counts. ARGV: user, id, answer, part, number of the crop in
-- it, keep_s, most open corrections of the user ('' for no limit), digit ('' for none), what it counts as, fields...
-- Returns {'done'}, {'gone'} if the crop is not kept, or {'quota', name, used}.
local user, id, answer, part, place, keep_s, most, digit, counts_as = unpack(ARGV, 1, 9)
local key = correction_key(id)
local crop, before, said, closed = unpack(redis.call('HMGET', key, 'crop', 'counts_as', 'digit', 'closed'))
if closed and said == digit then return {'done'} end
if not crop then
  local kept = redis.call('HMGET', kept_key(answer), 'user', part)
  if kept[1] ~= user or not kept[2] then return {'gone'} end
  crop = string.sub(kept[2], CROP_BYTES * place + 1, CROP_BYTES * (place + 1))
end
if not redis.call('ZSCORE', corrections_of(user), id) then
  local open = open_corrections(user)
  if open + 1 > (tonumber(most) or math.huge) then return {'quota', 'open_corrections', open} end
end
if before ~= counts_as then
  count_correction(before, 'withdrawn')
  count_correction(counts_as, 'given')
end
open_correction(id, user, crop, keep_s, {'digit', digit, 'counts_as', counts_as, unpack(ARGV, 10)}, 0)
return {'done'}
