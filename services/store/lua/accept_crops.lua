-- Takes crops into their lane. ARGV: id, lane, reply-to, deadline_ms, idempotency key, digest, keep_s,
-- most waiting crops, crops, number of record fields (0: no record yet), fields..., then count and bytes of each part.
local id, lane, reply_to, deadline_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key, digest, keep_s = ARGV[5], ARGV[6], ARGV[7]
local most, crops, n_fields = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local before = seen_before(key, digest)
if before then return before end

local all = 0
for _, text in ipairs(redis.call('HVALS', WAITING)) do
  all = all + tonumber(string.match(text, '^(%d+)'))
end
if all + crops > most then return {'full', all} end

remember(key, digest, id, keep_s)
if n_fields > 0 then
  create(id, {unpack(ARGV, 11, 10 + n_fields)}, '{"type":"state","state":"queued"}')
end

local stream = lane_key(lane)
if redis.call('SADD', LANES, lane) == 1 then
  redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
end
local part, entry = 0, nil
for i = 11 + n_fields, #ARGV, 2 do
  entry = redis.call('XADD', stream, '*', 'id', id, 'part', part, 'count', ARGV[i], 'reply', reply_to,
                     'deadline', deadline_ms, 'crops', ARGV[i + 1])
  part = part + 1
end
local waiting, entries, oldest = waiting_of(lane)
if entries == 0 then oldest = NOW_MS end
set_waiting(lane, waiting + crops, entries + part, oldest)
return {'new', id, ring(), entry}
