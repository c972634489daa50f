-- Records a delivery that tells of no job. ARGV: user, hook, id of the delivery. Returns 'done', 'off' or 'missing'.
local user, hook, id = ARGV[1], ARGV[2], ARGV[3]
local off = redis.call('HGET', hook_key(user, hook), 'off')
if not off then return 'missing' end
if off ~= '' then return 'off' end
add_delivery(user, hook, id, {'event', 'webhook.test', 'job', '', 'url', '', 'told', '{}'})
return 'done'
