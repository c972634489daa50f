-- Shared by all scripts: each is run with those of these that it refers to before it (services/store/scripts.py), so
-- each is one atomic step. Only a `local` at the beginning of a line is a definition.
-- Names of keys are those of services/store/keys.py.
local GROUP = 'chips'  -- consumer group of every lane
local WAKEUP_MS = 5000
local IDLE_MS = 20000  -- longer than any turn
local CROP_BYTES = 784
local PART_CROPS = 64  -- no entry of a lane has more: services/crops/lanes.py
local MOST_KEPT_WEIGHTS = 16  -- of one session; when another comes, all are dropped
local MOST_HANDED_BYTES = 65536
local KEEP_WEIGHTS_S = 120
local JOBS_HOOK = 'jobs'  -- of each user: signs what goes to addresses that jobs name
local MOST_WAITING_DELIVERIES = 500  -- of a user
local MOST_LISTED_DELIVERIES = 1000  -- of a user
local KEEP_DELIVERY_S = 604800
local LONGEST_TOLD = 4096  -- bytes of a fact of a job
local IN_USE_S = 10  -- a program is in use for this long after an operation

local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1e6
end
local NOW = clock()
local NOW_JSON = string.format('%.6f', NOW)
local NOW_MS = math.floor(NOW * 1000)

-- The name that a field of a record holds: names need no escapes in JSON.
local function name_in(json) return string.sub(json, 2, -2) end

-- The name under which a user shares the chip with others: that of a pupil's class, else the user's own; the same rule
-- as `group_of` in services/names.py.
local function group_of(user)
  return string.match(user, '^(class%-' .. string.rep('[2-9a-hjkmnp-z]', 6) .. ')%.') or user
end

-- Notes a key of a pupil that no list of the account names.
local function note_trace(user, key)
  if group_of(user) ~= user then redis.call('SADD', traces_of(user), key) end
end

-- A paused worker that was replaced has an old fencing number: it may write nothing. One whose lease ran out
-- while Redis was away, but which was not replaced, still has the newest.
local function lost_lease(chip, fence)
  return redis.call('GET', chip_key(chip, 'fence')) ~= fence
end
local LOST = {err = 'LEASELOST this worker no longer holds the chip'}

local function announce(id, event)
  local key = job_key(id)
  redis.call('HSET', key, 'updated_at', NOW_JSON)
  local revision = redis.call('HINCRBY', key, 'revision', 1)
  redis.call('XADD', events_key(id), 'MAXLEN', '~', 1000, '*', 'at', NOW_JSON, 'event', event)
  redis.call('XADD', CHANGES, 'MAXLEN', '~', 5000, '*', 'job', id)
  return revision
end

-- `fields` is a flat list of names and JSON texts.
local function create(id, fields, event)
  local key = job_key(id)
  -- Records expire by themselves; the list forgets them here, more of them than jobs are added. Any may be the one
  -- that is gone: how long a record is kept depends on its kind.
  redis.call('HSET', key, 'created_at', NOW_JSON, unpack(fields))
  for _, list in ipairs({JOBS, jobs_of(name_in(redis.call('HGET', key, 'user')))}) do
    for _, listed in ipairs(redis.call('ZRANDMEMBER', list, 8)) do
      if redis.call('EXISTS', job_key(listed)) == 0 then redis.call('ZREM', list, listed) end
    end
    redis.call('ZADD', list, NOW_JSON, id)
  end
  announce(id, event)
end

local function is_final(state)
  return state == '"succeeded"' or state == '"failed"' or state == '"cancelled"' or state == '"expired"'
end

-- Keeps the crops of a job for later correction; the oldest of its user go if they are more than `most` now ('' for no
-- limit). `parts` are {count, crops, count, crops, ...}.
local function keep_crops(id, user, count, parts, keep_s, most)
  local list, key = kept_of(user), kept_key(id)
  local upto = tonumber(redis.call('ZREVRANGE', list, 0, 0, 'WITHSCORES')[2] or 0) + count
  redis.call('HSET', key, 'user', user, 'count', count)
  for i = 2, #parts, 2 do redis.call('HSET', key, (i - 2) / 2, parts[i]) end
  redis.call('ZADD', list, string.format('%.0f', upto), id)
  redis.call('EXPIRE', list, 2 * keep_s)
  while most ~= '' do
    local oldest, ends = unpack(redis.call('ZRANGE', list, 0, 0, 'WITHSCORES'))
    local size = tonumber(redis.call('HGET', kept_key(oldest), 'count') or math.huge)
    if tonumber(ends) - size >= upto - most then break end
    redis.call('ZREM', list, oldest)
    redis.call('DEL', kept_key(oldest))
  end
end

-- The number of crops that are kept of a user; forgets the oldest that have expired.
local function kept_crops(user)
  local list = kept_of(user)
  while true do
    local oldest, ends = unpack(redis.call('ZRANGE', list, 0, 0, 'WITHSCORES'))
    if not oldest then return 0 end
    local size = redis.call('HGET', kept_key(oldest), 'count')
    if size then return redis.call('ZREVRANGE', list, 0, 0, 'WITHSCORES')[2] - ends + size end
    redis.call('ZREM', list, oldest)
  end
end

-- The number of open corrections of a user; forgets those that have expired.
local function open_corrections(user)
  redis.call('ZREMRANGEBYSCORE', corrections_of(user), '-inf', NOW_JSON)
  return redis.call('ZCARD', corrections_of(user))
end

-- Lets the kept crops of a job that has ended expire, or forgets them where nothing was read; returns how long they are
-- kept.
local function settle_kept(id, state, keep_s)
  if state ~= '"succeeded"' then
    redis.call('DEL', kept_key(id))
    return 0
  end
  redis.call('EXPIRE', kept_key(id), keep_s)
  return keep_s
end

-- Forgets all kept crops of a user; returns the number of answers.
local function forget_kept(user)
  local list = redis.call('ZRANGE', kept_of(user), 0, -1)
  for _, id in ipairs(list) do redis.call('DEL', kept_key(id)) end
  redis.call('DEL', kept_of(user))
  return #list
end

-- Counts a correction of an answer: `way` is 'given' or 'withdrawn', `origin` '<model>@<version>:<outcome>'. Both only
-- grow; what holds is their difference.
local function count_correction(origin, way)
  if origin and origin ~= '' then redis.call('HINCRBY', CORRECTED, origin .. ':' .. way, 1) end
end

-- Stores a correction as open: what `fields` say of it, its user, and the crop. The list of the open ones is by the time
-- at which they expire; `number` keeps those of one step apart.
local function open_correction(id, user, crop, keep_s, fields, number)
  local key, at = correction_key(id), NOW + number / 1e6
  redis.call('HSET', key, 'user', user, 'crop', crop, 'at', string.format('%.6f', at), unpack(fields))
  redis.call('HDEL', key, 'closed')
  redis.call('EXPIRE', key, keep_s)
  redis.call('ZADD', corrections_of(user), string.format('%.6f', at + keep_s), id)
end

-- The facts of a job that a webhook sends, as JSON; a long result is left to the job's own address.
local TOLD_OF_JOBS = {'id', 'kind', 'user', 'model', 'state', 'created_at', 'started_at', 'finished_at', 'chip_time_s',
                      'error', 'result'}
local function told_of(id)
  local texts, members = redis.call('HMGET', job_key(id), unpack(TOLD_OF_JOBS)), {}
  for i, name in ipairs(TOLD_OF_JOBS) do
    local text = texts[i] or 'null'
    members[i] = '"' .. name .. '":' .. (#text <= LONGEST_TOLD and text or 'null')
  end
  return '{' .. table.concat(members, ',') .. '}'
end

-- Lists a hook by the time of its next try, and not while no delivery waits.
local function schedule_hook(user, hook)
  local first = redis.call('ZRANGE', hook_queue(user, hook), 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', HOOKS_DUE, first[2], user .. ':' .. hook)
  else
    redis.call('ZREM', HOOKS_DUE, user .. ':' .. hook)
  end
end

-- Lets a delivery wait until the time of its next try.
local function try_delivery_at(user, hook, id, at)
  redis.call('HSET', delivery_key(user, id), 'next_at', string.format('%.6f', at))
  redis.call('ZADD', hook_queue(user, hook), string.format('%.6f', at), id)
  redis.call('ZREM', HOOKS_TAKEN, user .. ':' .. hook .. ':' .. id)
  schedule_hook(user, hook)
end

-- Ends a delivery: `state` is 'delivered' or 'failed'.
local function end_delivery(user, hook, id, state, problem)
  local key = delivery_key(user, id)
  if redis.call('EXISTS', key) == 1 then
    redis.call('HSET', key, 'state', state, 'problem', problem)
    redis.call('HDEL', key, 'next_at')
    redis.call('EXPIRE', key, KEEP_DELIVERY_S)
    redis.call('HINCRBY', HOOKS_COUNTED, state, 1)
  end
  redis.call('ZREM', hook_queue(user, hook), id)
  redis.call('ZREM', HOOKS_TAKEN, user .. ':' .. hook .. ':' .. id)
  redis.call('ZREM', HOOKS_WAITING, user .. ':' .. id)
  schedule_hook(user, hook)
end

-- Lets a delivery wait from now on; one too many of its user fails at once.
local function queue_delivery(user, hook, id)
  local waiting = 0
  for _, other in ipairs(redis.call('ZRANGE', hooks_of(user), 0, -1)) do
    waiting = waiting + redis.call('ZCARD', hook_queue(user, other))
  end
  if waiting >= MOST_WAITING_DELIVERIES then
    end_delivery(user, hook, id, 'failed', 'not tried: ' .. waiting .. ' other deliveries of yours wait')
    return
  end
  redis.call('HSET', delivery_key(user, id), 'state', 'waiting', 'tries', 0, 'problem', '')
  redis.call('ZADD', HOOKS_WAITING, NOW_JSON, user .. ':' .. id)
  try_delivery_at(user, hook, id, NOW)
end

-- Records a delivery, once. If its user has too many, the oldest that have ended are forgotten, or any where those
-- wait. `fields` are a flat list.
local function add_delivery(user, hook, id, fields)
  local key, list = delivery_key(user, id), deliveries_of(user)
  if redis.call('EXISTS', key) == 1 then return end
  redis.call('HSET', key, 'hook', hook, 'at', NOW_JSON, unpack(fields))
  redis.call('EXPIRE', key, KEEP_DELIVERY_S)
  redis.call('ZADD', list, NOW_JSON, id)
  redis.call('EXPIRE', list, 2 * KEEP_DELIVERY_S)
  for _, some in ipairs({redis.call('ZRANGE', list, 0, 9), redis.call('ZRANDMEMBER', list, 8)}) do
    for _, other in ipairs(some) do
      local state = redis.call('HGET', delivery_key(user, other), 'state')
      local is_spare = state and state ~= 'waiting' and redis.call('ZCARD', list) > MOST_LISTED_DELIVERIES
      if other ~= id and (not state or is_spare) then
        redis.call('DEL', delivery_key(user, other))
        redis.call('ZREM', list, other)
      end
    end
  end
  queue_delivery(user, hook, id)
end

local function has_word(words, word) return string.find(' ' .. words .. ' ', ' ' .. word .. ' ', 1, true) ~= nil end

-- Records the deliveries of a job's end: to the user's hooks that want it, and to the one that the job names. An address
-- named by the job is delivered to in the name of the hook JOBS_HOOK.
local function notify_end(id)
  local user, kind, state, named = unpack(redis.call('HMGET', job_key(id), 'user', 'kind', 'state', 'webhook'))
  user, kind, state, named = name_in(user), name_in(kind), name_in(state), named and name_in(named) or ''
  local url = string.find(named, '://', 1, true) and named or ''
  if url ~= '' then named = JOBS_HOOK end
  for _, hook in ipairs(redis.call('ZRANGE', hooks_of(user), 0, -1)) do
    local events, kinds, off = unpack(redis.call('HMGET', hook_key(user, hook), 'events', 'kinds', 'off'))
    local is_wanted = events and off == '' and has_word(events, 'job.' .. state)
    if kinds == '' then is_wanted = is_wanted and kind ~= 'classification' end
    if kinds and kinds ~= '' then is_wanted = is_wanted and has_word(kinds, kind) end
    if is_wanted or hook == named then
      add_delivery(user, hook, id .. '-' .. hook,
                   {'event', 'job.' .. state, 'job', id, 'url', hook == JOBS_HOOK and url or '', 'told', told_of(id)})
    end
  end
end

-- Sets fields of a job; when the state becomes final, the record gets its time to live.
local function change(id, fields, event, keep_s)
  local key = job_key(id)
  if #fields > 0 then redis.call('HSET', key, unpack(fields)) end
  announce(id, event)
  local state, keep_answer_s = unpack(redis.call('HMGET', key, 'state', 'keep_answer_s'))
  if is_final(state) then
    redis.call('HSET', key, 'finished_at', NOW_JSON)
    if keep_answer_s then keep_s = math.max(keep_s, settle_kept(id, state, tonumber(keep_answer_s))) end
    for _, kept in ipairs({key, events_key(id), results_key(id)}) do redis.call('EXPIRE', kept, keep_s) end
    redis.call('SREM', LONG, id)
    redis.call('HINCRBY', FINISHED, name_in(redis.call('HGET', key, 'kind')) .. ':' .. name_in(state), 1)
    redis.call('SREM', long_of(name_in(redis.call('HGET', key, 'user'))), id)
    notify_end(id)
  end
  for i = 1, #fields, 2 do
    if fields[i] == 'state' or fields[i] == 'cancel_requested' then redis.call('INCR', LONG_REVISION) end
  end
end

local function start_if_queued(id)
  local key = job_key(id)
  if redis.call('HGET', key, 'state') == '"queued"' then
    redis.call('HSET', key, 'state', '"running"', 'started_at', NOW_JSON)
    announce(id, '{"type":"state","state":"running"}')
  end
end

-- Sends answers to a process that waits for them; a stream without a reader expires.
local function send_reply(stream, batch)
  redis.call('XADD', stream, 'MAXLEN', '~', 4000, '*', 'batch', batch)
  if redis.call('PTTL', stream) < 60000 then redis.call('PEXPIRE', stream, 120000) end
end

local function waiting_of(lane)
  local text = redis.call('HGET', WAITING, lane)
  if not text then return 0, 0, 0 end
  local crops, entries, oldest = string.match(text, '^(%d+) (%d+) (%d+)$')
  return tonumber(crops), tonumber(entries), tonumber(oldest)
end

local function set_waiting(lane, crops, entries, oldest_ms)
  if entries <= 0 then
    redis.call('HDEL', WAITING, lane)
  else
    redis.call('HSET', WAITING, lane, string.format('%d %d %d', crops, entries, oldest_ms))
  end
end

local function user_of(lane) return string.match(lane, '[^:]*$') end

-- Crops that wait: all of them, and by user.
local function waiting_crops()
  local all, of = 0, {}
  local lanes = redis.call('HGETALL', WAITING)
  for i = 1, #lanes, 2 do
    local crops = tonumber(string.match(lanes[i + 1], '^(%d+)'))
    local user = user_of(lanes[i])
    all = all + crops
    of[user] = (of[user] or 0) + crops
  end
  return all, of
end

-- Adds one part of a request to its lane; returns its place there. Most have neither extras nor spans.
local function add_part(lane, id, part, count, reply_to, deadline_ms, crops, repeats, extras, trace)
  local stream = lane_key(lane)
  if redis.call('SADD', LANES, lane) == 1 then
    redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
  end
  local entry = redis.call('XADD', stream, '*', 'id', id, 'part', part, 'count', count, 'reply', reply_to,
                           'deadline', deadline_ms, 'crops', crops, 'repeats', repeats,
                           unpack(trace and {'extras', extras, 'trace', trace} or extras > 0 and {'extras', extras} or {}))
  local waiting, entries, oldest = waiting_of(lane)
  if entries == 0 then oldest = NOW_MS end
  set_waiting(lane, waiting + tonumber(count), entries + 1, oldest)
  return entry
end

-- True if all of an entry's `count` crops are of jobs that have ended, cancelled most likely.
local function is_abandoned(lane, entry, count)
  local late, ended = redis.call('HGETALL', late_key(lane, entry)), 0
  for i = 1, #late, 2 do
    local state = redis.call('HGET', job_key(late[i]), 'state')
    if state and is_final(state) then ended = ended + tonumber(string.match(late[i + 1], '%d+$')) end
  end
  return ended >= count
end

-- Deletes an entry from its lane, with the record of its jobs if it `may_have_jobs`; an empty lane's stream is deleted
-- too.
local function forget_entry(lane, entry, may_have_jobs)
  local key = lane_key(lane)
  redis.call('XACK', key, GROUP, entry)
  redis.call('XDEL', key, entry)
  if may_have_jobs then redis.call('DEL', late_key(lane, entry)) end
  if redis.call('XLEN', key) == 0 then
    redis.call('DEL', key)
    redis.call('HDEL', WAITING, lane)
    redis.call('SREM', LANES, lane)
  end
end

-- An entry that a chip has claimed, as workers read it; nothing if it was abandoned, and is deleted.
local function decode(lane, entry, claims)
  local f = entry[2] -- id, part, count, reply, deadline, crops, repeats (, extras (, trace)): in the order of add_part
  local id, count, deadline = f[2], tonumber(f[6]), tonumber(f[10])
  local state = redis.call('HGET', job_key(id), 'state')
  if (state and is_final(state)) or is_abandoned(lane, entry[1], count) then
    forget_entry(lane, entry[1], true)
    return count
  end
  local expired = deadline > 0 and deadline < NOW_MS
  if state and not expired then start_if_queued(id) end
  local accepted_ms = string.match(entry[1], '^(%d+)')
  return count, {lane, entry[1], id, f[4], count, f[8], f[12], expired and 1 or 0, accepted_ms, f[14], claims, f[16],
                 f[18]}
end

-- Claims crops of a lane for a chip, adding them to `claimed`. At most the last part goes beyond the grant: a part is
-- known only when it is claimed, so no more are read at once than fit if each is as large as the lane's largest can be:
-- the largest there is, or all others being of one crop.
local function claim_lane(chip, lane, grant, claimed)
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
      local count, decoded = decode(lane, entry, 1)
      last, crops, entries, grant = entry[1], crops - count, entries - 1, grant - count
      claimed[#claimed + 1] = decoded
    end
  end
  if last then
    local next_one = entries > 0 and redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)[1]
    if next_one then oldest = tonumber(string.match(next_one[1], '^(%d+)')) else entries = 0 end
  end
  set_waiting(lane, crops, entries, oldest)
end

-- The work that waits for a chip, which knows it from here on: its bell is silent and its wake-up taken. Crops that
-- were handed over with the bell are claimed; where nothing waits but one lane of `reference` ('' for none), up to
-- `most` of its crops are claimed in the same step, or as soon as they come: it would be the chip's choice. `waiting` is
-- that before the claim.
local function backlog(chip, reference, most)
  local bell = chip_key(chip, 'bell')
  local rung = redis.call('LPOP', bell)
  redis.call('DEL', bell, chip_key(chip, 'idle'))
  if redis.call('PTTL', chip_key(chip, 'wakeup')) < WAKEUP_MS / 2 then
    redis.call('SET', chip_key(chip, 'wakeup'), '1', 'PX', WAKEUP_MS) -- not each time: every write goes to the disk
  end
  local waiting = redis.call('HGETALL', WAITING)
  local claimed = rung and rung ~= '1' and cmsgpack.unpack(rung)[6] or {}
  local operations = redis.call('HGETALL', operations_key(chip))
  local seen = {waiting, redis.call('GET', LONG_REVISION) or '0', redis.call('HGETALL', CHARGED), NOW_JSON,
                redis.call('GET', chip_key(chip, 'drain')) or '', claimed, operations}
  if reference ~= '' and #operations == 0 and redis.call('SCARD', LONG) == 0 then
    if #waiting == 2 and string.match(waiting[1], '^(.*):') == reference then
      claim_lane(chip, waiting[1], tonumber(most), claimed)
    elseif #waiting == 0 and #claimed == 0 then
      redis.call('SET', chip_key(chip, 'idle'), reference .. ' ' .. most, 'PX', IDLE_MS)
    end
  end
  return seen
end

-- Claims an operation for the worker with this fencing number; returns {request, number of workers that claimed it (, its
-- span)}, nil if it is gone.
local function claim_operation(fence, operation)
  local key = operation_key(operation)
  local found = redis.call('HMGET', key, 'request', 'claimed_by', 'claims', 'trace')
  if not found[1] then return nil end
  local claims = tonumber(found[3] or '0')
  if found[2] ~= fence then
    claims = claims + 1
    redis.call('HSET', key, 'claimed_by', fence, 'claims', claims)
  end
  return {found[1], claims, found[4] or nil}
end

-- Claims the operation that has come to an idle chip, if it is small: the bell is written to the disk too.
local function claim_small(chip, operation)
  if redis.call('HSTRLEN', operation_key(operation), 'request') > MOST_HANDED_BYTES then return nil end
  return claim_operation(redis.call('GET', chip_key(chip, 'fence')), operation)
end

-- Rings a chip's bell. One that waits for it is given the backlog with it if that holds operations, or the crops that
-- have come and that it would choose.
local function ring_bell(chip)
  local bell = chip_key(chip, 'bell')
  if redis.call('LLEN', bell) > 0 then return end
  local idle = redis.call('GET', chip_key(chip, 'idle'))
  local seen = idle and backlog(chip, string.match(idle, '^(%S*) (%d+)$'))
  if seen and #seen[6] == 0 and #seen[7] == 2 then seen[8] = claim_small(chip, seen[7][1]) end
  redis.call('LPUSH', bell, seen and #seen[6] + #seen[7] > 0 and cmsgpack.pack(seen) or '1')
end

-- Rings the bells of those of the chips that have a worker; returns the chips that need a wake-up message because none is
-- outstanding. A chip without one is not called: the worker that takes it wakes itself, and a worker with a lapsed
-- lease learns of the work when it renews it.
local function ring_chips(chips)
  local asleep = {}
  for _, chip in ipairs(chips) do
    if redis.call('EXISTS', chip_key(chip, 'lease')) == 1 then
      local needs_wakeup = redis.call('SET', chip_key(chip, 'wakeup'), '1', 'NX', 'PX', WAKEUP_MS)
      ring_bell(chip)
      if needs_wakeup then asleep[#asleep + 1] = chip end
    end
  end
  return asleep
end

local function ring() return ring_chips(redis.call('SMEMBERS', CHIPS)) end

-- Forgets an open session: the operations that wait and the weights it kept. Those that wait for answers look at the
-- session's record.
local function end_session(id)
  local params = redis.call('HGET', job_key(id), 'params')
  local chip = params and cjson.decode(params).chip
  if chip then
    local waiting = redis.call('HGETALL', operations_key(chip))
    for i = 1, #waiting, 2 do
      if string.match(waiting[i + 1], '^%S+') == id then
        redis.call('HDEL', operations_key(chip), waiting[i])
        redis.call('DEL', operation_key(waiting[i]))
      end
    end
  end
  redis.call('DEL', weights_key(id))
  redis.call('ZREM', PROGRAMS, id)
end

-- `fields` are names and JSON texts.
local function add_user(name, ...)
  redis.call('HSET', user_key(name), 'created_at', NOW_JSON, ...)
  redis.call('SADD', USERS, name)
end

-- Keeps the digest of a user's token; returns its times. One with a life of 0 seconds never expires.
local function add_token(name, digest, life_s)
  local times = string.format('%.3f %.3f', NOW, life_s > 0 and NOW + life_s or 0)
  redis.call('HSET', tokens_of(name), digest, times)
  redis.call('HSET', TOKENS, digest, name)
  return times
end

-- Makes tokens of a user void whose digests have this beginning; returns how many.
local function revoke_tokens(name, beginning)
  local revoked = 0
  for _, digest in ipairs(redis.call('HKEYS', tokens_of(name))) do
    if string.sub(digest, 1, #beginning) == beginning then
      redis.call('HDEL', tokens_of(name), digest)
      redis.call('HDEL', TOKENS, digest)
      revoked = revoked + 1
    end
  end
  return revoked
end

local function charged_now(user, half_life_s)
  local text = redis.call('HGET', CHARGED, user)
  if not text then return 0 end
  local before, at = string.match(text, '^(%S+) (%S+)$')
  return tonumber(before) * 0.5 ^ ((NOW - tonumber(at)) / half_life_s)
end

local function set_charged(user, seconds)
  redis.call('HSET', CHARGED, user, string.format('%.6f %.3f', seconds, NOW))
end

-- Adds to a sum in a hash that expires after `keep_s`.
local function add_for(key, keep_s, field, seconds)
  redis.call('HINCRBYFLOAT', key, field, seconds)
  if redis.call('TTL', key) < 0 then redis.call('EXPIRE', key, keep_s) end
end

local function charge(chip, user, kind, seconds, half_life_s)
  local group = group_of(user)
  set_charged(user, charged_now(user, half_life_s) + seconds)
  if group ~= user then set_charged(group, charged_now(group, half_life_s) + seconds) end
  local amount = string.format('%.6f', seconds)
  redis.call('HINCRBYFLOAT', usage_key(kind), user, amount)
  add_for(used_key(math.floor(NOW / 86400)), 172800, user, amount)
  add_for(minute_key(math.floor(NOW / 60)), 7200, chip .. ':' .. kind .. ':' .. user, amount)
end

local function used_today(user) return redis.call('HGET', used_key(math.floor(NOW / 86400)), user) or '0' end

-- True if a user has used up the chip seconds of a day ('' for no limit), and the refusal in that case.
local function has_spent(user, most_s)
  return most_s ~= '' and tonumber(used_today(user)) >= tonumber(most_s)
end
local function spent(user)
  return {'quota', 'chip_seconds_per_day', used_today(user), tostring(86400 - math.floor(NOW % 86400))}
end

-- The highest charge of the other groups with programs in use; nil if there are none, or `group` has one too. Of
-- programs it is not the least: they go in turns, whatever their charges, and none shall stop until a newcomer has
-- caught up.
local function charge_of_programs(group, half_life_s)
  local most = nil
  for _, session in ipairs(redis.call('ZRANGEBYSCORE', PROGRAMS, NOW - IN_USE_S, '+inf')) do
    local json = redis.call('HGET', job_key(session), 'user')
    if json then
      local other = group_of(name_in(json))
      if other == group then return nil end
      most = math.max(most or 0, charged_now(other, half_life_s))
    end
  end
  return most
end

-- Raises a charge that is more than `credit_s` below `least` (nil: of nobody).
local function catch_up(name, least, half_life_s, credit_s)
  if least and charged_now(name, half_life_s) < least - credit_s then set_charged(name, least - credit_s) end
end

-- A group that comes to long work that others wait for, or to programs of others, goes ahead of them by `credit_s` at
-- most, however much those were charged before: from then on all share alike. So does a user in a group. See decision
-- 10; `newcomer_charge_s` in services/scheduling/policy.py is the same rule for forecasts and plans.
local function let_in(id, half_life_s, credit_s)
  local newcomer = redis.call('HMGET', job_key(id), 'user', 'kind')
  if newcomer[2] == '"calibration"' then return end
  local user = name_in(newcomer[1])
  local group = group_of(user)
  local least, least_of_mates = nil, nil
  for _, other in ipairs(redis.call('SMEMBERS', LONG)) do
    local found = redis.call('HMGET', job_key(other), 'user', 'kind')
    if found[1] == newcomer[1] then return end
    if found[1] and found[2] ~= '"calibration"' then
      local theirs = group_of(name_in(found[1]))
      if theirs == group then
        least_of_mates = math.min(least_of_mates or math.huge, charged_now(name_in(found[1]), half_life_s))
      else
        least = math.min(least or math.huge, charged_now(theirs, half_life_s))
      end
    end
  end
  if least_of_mates then
    catch_up(user, least_of_mates, half_life_s, credit_s)
  else
    catch_up(group, least or charge_of_programs(group, half_life_s), half_life_s, credit_s)
  end
end

-- The answer to an Idempotency-Key seen before, or nil; `digest` tells whether it is the same request.
local function seen_before(key, digest)
  if key == '' then return nil end
  local before = redis.call('HMGET', idempotency_key(key), 'digest', 'job')
  if not before[1] then return nil end
  if before[1] ~= digest then return {'conflict'} end
  return {'same', before[2]}
end

local function remember(key, digest, id, keep_s)
  if key == '' then return end
  note_trace(string.match(key, '^[^:]*'), idempotency_key(key))
  redis.call('HSET', idempotency_key(key), 'digest', digest, 'job', id)
  redis.call('EXPIRE', idempotency_key(key), keep_s)
end
