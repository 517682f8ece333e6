-- Rate limits shared by processes and machines: one call of this script is one decision.
-- The sums are those of limits_bucket.py and limits_meter.py; a test runs both side by side.
--
-- KEYS  1 state of both buckets   2 line of waiting calls, by arrival   3 what each of them wants
--       4 calls not answered yet, by time   5 calls that hold a slot, by end of their lease
-- ARGV  1 operation   2 settings (JSON)   3 arguments (JSON)

local state, line, wants, sent, slots = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local set, call = cjson.decode(ARGV[2]), cjson.decode(ARGV[3])
local time = redis.call('TIME') -- the server's clock: those of the callers differ
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6

local FIELDS = {'at', 'level', 'ramp', 'last', 'spent', 'said', 'period', 'seen'}
local STORED = {requests = {}, tokens = {}} -- names of the same in the state
for name, stored in pairs(STORED) do
  for i, field in ipairs(FIELDS) do stored[i] = name .. '_' .. field end
end

local function text(number) return string.format('%.17g', number) end

-- Buckets ---------------------------------------------------------------------------------------

local function by_server(b)
  if not b.said or not b.configured then return b.said ~= nil end
  return b.period == set.minute and b.said <= b.configured
end

local function derive(b)
  local server = by_server(b)
  b.limit = server and b.said or b.configured
  b.rate = (b.limit or 0) / (server and b.period or set.minute)
  b.burst = (b.limit or 0) - b.rate * set.slack
  b.ramp_rate = (1 - set.start) * b.burst / set.ramp_seconds
end

local function begin(b)
  b.at, b.level, b.ramp = now, set.start * b.burst, now + set.ramp_seconds
end

local function load(name, configured)
  local values = redis.call('HMGET', state, unpack(STORED[name]))
  local b = {name = name, configured = configured}
  for i, field in ipairs(FIELDS) do b[field] = values[i] and tonumber(values[i]) or nil end
  b.period = b.period or set.minute
  derive(b)
  if b.at then return b end
  b.at, b.level, b.ramp, b.last, b.spent = now, 0, 0, -1e18, 0
  if configured then begin(b) end
  return b
end

local function save(b)
  local pairs_ = {}
  for i, field in ipairs(FIELDS) do
    if b[field] then
      pairs_[#pairs_ + 1] = STORED[b.name][i]
      pairs_[#pairs_ + 1] = text(b[field])
    end
  end
  redis.call('HSET', state, unpack(pairs_))
end

local function copy(b)
  local twin = {}
  for field, value in pairs(b) do twin[field] = value end
  return twin
end

local function available(b) return b.level + b.ramp_rate * math.max(0, b.ramp - b.at) end

local function refill(b, at)
  if at <= b.at then return end
  local ramped = math.max(0, math.min(at, b.ramp) - b.at)
  b.level = math.min(b.burst, b.level + b.rate * (at - b.at) + b.ramp_rate * ramped)
  b.at = at
end

local function seconds_to(b, level)
  local missing = level - b.level
  if missing <= 0 then return 0 end
  local ramp = math.max(0, b.ramp - b.at)
  local fast = b.rate + b.ramp_rate
  if missing <= fast * ramp then return missing / fast end
  return ramp + (missing - fast * ramp) / b.rate
end

local function spaced(b, cost, left)
  local zone = (1 - set.threshold) * b.burst
  if left >= zone or zone <= 0 then return b.last end
  return b.last + cost / (b.rate * (1 + set.ease * math.max(0, left) / zone))
end

local function due(b, cost, at)
  if not b.limit or cost <= 0 then return at end
  refill(b, at)
  if b.spent == 0 and b.at < b.ramp then return at end
  local needed = math.min(cost, b.burst)
  local afford = at + seconds_to(b, needed)
  return math.max(afford, spaced(b, cost, math.max(b.level, needed) - cost))
end

local function spend(b, cost, at)
  refill(b, at)
  b.spent, b.level = b.spent + cost, b.level - cost
  if cost > 0 then b.last = at end
end

local function give_back(b, cost)
  refill(b, now)
  b.spent, b.level = b.spent - cost, math.min(b.burst, b.level + cost)
end

local function hear(b, said, remaining, period, elapsed, unsure, sure)
  if not said then return end
  refill(b, now)
  local first = not b.limit
  b.said, b.period = said, period
  derive(b)
  if first then begin(b) end
  if not remaining then return end
  b.level, b.ramp = available(b), math.min(b.ramp, now)
  local left = remaining - said / period * set.slack
  if first then
    b.level = left - unsure
  elseif sure and by_server(b) then
    b.level = math.max(b.level, left - unsure)
  end
  b.level = math.min(b.level, left + said / period * elapsed, b.burst)
  b.seen = now
end

-- The meter of this key -------------------------------------------------------------------------

local function optional(value)
  if value == cjson.null then return nil end
  return value
end

local requests = load('requests', optional(set.requests))
local tokens = load('tokens', optional(set.tokens))
local concurrency = optional(set.concurrency)
local paused = tonumber(redis.call('HGET', state, 'paused') or '-1e18')

local function keep()
  save(requests)
  save(tokens)
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, set.expiry) end
end

-- Calls not answered yet, and the tokens of all of them.
local function sent_name(ident, cost) return string.format('%s %d', ident, cost) end

local function answered(ident, cost)
  if redis.call('ZREM', sent, sent_name(ident, cost)) == 0 then return false end
  redis.call('HINCRBY', state, 'sent_tokens', string.format('%d', -cost))
  return true
end

local function under_way()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', sent, '-inf', now - set.arrived)) do
    local ident, cost = string.match(name, '^(%S+) (%S+)$')
    answered(ident, tonumber(cost))
  end
  return redis.call('ZCARD', sent), tonumber(redis.call('HGET', state, 'sent_tokens') or '0')
end

local function held()
  redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
  return redis.call('ZCARD', slots)
end

local function drop(ident)
  redis.call('ZREM', line, ident)
  redis.call('HDEL', wants, ident)
end

-- Spend, in a copy of the buckets, what the calls ahead will spend; those whose process died do not.
-- It ends where it is clear that this call is to look again before it can be due.
local function after_those_ahead(place, patience)
  local r, t, at, with_slot = copy(requests), copy(tokens), now, 0
  local walked = math.min(place, set.most_walked)
  local ahead = walked > 0 and redis.call('ZRANGE', line, 0, walked - 1) or {}
  local wanted = walked > 0 and redis.call('HMGET', wants, unpack(ahead)) or {}
  for i, ident in ipairs(ahead) do
    local cost, slot, lease = string.match(wanted[i] or '', '^(%S+) (%S+) (%S+)$')
    if not cost or tonumber(lease) < now then
      drop(ident)
    else
      cost = tonumber(cost)
      at = math.max(at, due(r, 1, at), due(t, cost, at))
      if at > now + patience then return at, with_slot end
      spend(r, 1, at)
      spend(t, cost, at)
      with_slot = with_slot + tonumber(slot)
    end
  end
  if walked < place then return math.max(at, now + set.recheck / 4), with_slot end
  return math.max(at, due(r, 1, at), due(t, call.tokens, at)), with_slot
end

local function let_through()
  drop(call.ident)
  local count, sum = under_way()
  spend(requests, 1, now)
  spend(tokens, call.tokens, now)
  redis.call('ZADD', sent, text(now), sent_name(call.ident, call.tokens))
  redis.call('HINCRBY', state, 'sent_tokens', string.format('%d', call.tokens))
  if call.slot and concurrency then
    redis.call('ZADD', slots, text(now + set.slot_lease), call.ident)
  end
  keep()
  return {'go', text(now), text(requests.spent - count), text(tokens.spent - sum)}
end

local function stand_in_line(seconds)
  if not redis.call('ZSCORE', line, call.ident) then
    redis.call('ZADD', line, redis.call('HINCRBY', state, 'arrivals', 1), call.ident)
  end
  local lease = now + seconds + set.wait_lease
  redis.call('HSET', wants, call.ident,
    string.format('%d %d %.17g', call.tokens, call.slot and 1 or 0, lease))
end

local function seen(b)
  if not b.limit then return '', '', '' end
  refill(b, now)
  local missing = math.max(0, b.burst - available(b))
  local remaining = math.max(0, b.limit - missing)
  return text(b.limit), text(math.floor(remaining + 1e-6)), text(missing / b.rate)
end

-- Operations ------------------------------------------------------------------------------------

local operations = {}

function operations.take()
  local most = tokens.limit
  if most and call.tokens > most then
    drop(call.ident)
    return {'large', text(most)}
  end
  local place = redis.call('ZRANK', line, call.ident) or redis.call('ZCARD', line)
  local patience = set.recheck + set.recheck_per_place * place
  local at, ahead_with_slot = after_those_ahead(place, patience)
  at = math.max(at, paused)
  local has_slot = not (call.slot and concurrency) or held() + ahead_with_slot < concurrency
  if at <= now and has_slot then return let_through() end
  local seconds = at - now
  if seconds <= 0 then seconds = set.slot_recheck * (1 + ahead_with_slot) end
  seconds = math.min(seconds, patience)
  if call.waits then stand_in_line(seconds) end
  keep()
  return {'wait', text(seconds)}
end

function operations.give_back()
  local in_line = redis.call('ZREM', line, call.ident) == 1
  redis.call('HDEL', wants, call.ident)
  redis.call('ZREM', slots, call.ident)
  if in_line then return {} end
  -- If the answer to `take` was lost, the caller does not know whether it went through.
  local went = answered(call.ident, call.tokens) or call.went
  if not went then return {} end
  give_back(requests, 1)
  give_back(tokens, call.tokens)
  keep()
  return {}
end

function operations.settle()
  refill(tokens, now)
  if not tokens.seen or now - tokens.seen > set.minute then
    tokens.level = math.min(tokens.burst, tokens.level - call.excess)
  end
  keep()
  return {}
end

function operations.release()
  redis.call('ZREM', slots, call.ident)
  answered(call.ident, call.tokens)
  return {}
end

function operations.renew()
  for _, ident in ipairs(call.idents) do
    redis.call('ZADD', slots, 'XX', text(now + set.slot_lease), ident)
  end
  redis.call('EXPIRE', slots, set.expiry)
  return {}
end

function operations.observe()
  if call.went then answered(call.ident, call.tokens) end
  local count, sum = under_way()
  local elapsed = 0
  if call.went then
    elapsed = now - call.at
    count = math.max(0, requests.spent - call.requests_mark)
    sum = math.max(0, tokens.spent - call.tokens_mark)
  end
  local r, t = call.requests, call.reading
  hear(requests, optional(r[1]), optional(r[2]), r[3], elapsed, count, call.went)
  hear(tokens, optional(t[1]), optional(t[2]), t[3], elapsed, sum, call.went)
  if call.refused and r[2] == cjson.null and t[2] == cjson.null then
    for _, b in ipairs({requests, tokens}) do
      refill(b, now)
      b.ramp, b.level = math.min(b.ramp, now), math.min(b.level, 0)
    end
  end
  local pause = optional(call.pause)
  if pause then redis.call('HSET', state, 'paused', text(math.max(paused, now + pause))) end
  keep()
  return {}
end

function operations.status()
  local wait = math.max(paused, due(requests, 1, now)) - now
  local waiting = 0
  for _, want in ipairs(redis.call('HVALS', wants)) do
    if tonumber(string.match(want, '(%S+)$')) >= now then waiting = waiting + 1 end
  end
  local answer = {wait > 0 and text(wait) or '', text(waiting), concurrency and text(held()) or ''}
  for _, b in ipairs({requests, tokens}) do
    for _, value in ipairs({seen(b)}) do answer[#answer + 1] = value end
  end
  return answer
end

return operations[ARGV[1]]()
