"""Circuits in Redis: the machine of `circuit_state.py` as one script that runs on the server.

Each step is one round trip and indivisible; the time is the server's, so the clocks of the machines
that share it do not matter. One key holds one circuit and expires by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.resilience.circuit_state import (
    OPEN_KEPT_S,
    CircuitRules,
    CircuitState,
    Outcome,
    Step,
)

if TYPE_CHECKING:
    import redis
    from redis.commands.core import Script

_TIMEOUT_S = 1.0

# ARGV: operation, now_ms or -1, threshold, recovery_ms, window_ms, probes, probe_timeout_ms,
#       closed_kept_ms, open_kept_ms, token, generation, outcome, reason
_SCRIPT = """
local operation, now = ARGV[1], tonumber(ARGV[2])
local threshold, recovery, window = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local places, probe_timeout = tonumber(ARGV[6]), tonumber(ARGV[7])
local closed_kept, open_kept = tonumber(ARGV[8]), tonumber(ARGV[9])
local token, generation, outcome, reason = ARGV[10], tonumber(ARGV[11]), ARGV[12], ARGV[13]
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local raw = redis.call('GET', KEYS[1])
local c = {state = 'closed', generation = 0, failed = {}, open_until = 0, probes = {}, reason = ''}
if raw then c = cjson.decode(raw) end
local before, dirty, allowed, granted = c.state, false, 1, ''

local function change(state)
  c.state, c.generation, c.probes, dirty = state, c.generation + 1, {}, true
  if state == 'open' then c.open_until = now + recovery end
end

local function forget_old_failures()
  while #c.failed > 0 and c.failed[1] <= now - window do
    table.remove(c.failed, 1)
  end
end

local function first_probe()
  local count, first = 0, nil
  for _, ends in pairs(c.probes) do
    count = count + 1
    if first == nil or ends < first then first = ends end
  end
  return count, first
end

if c.state == 'closed' then forget_old_failures() end

if operation == 'admit' then
  if c.state == 'open' and now >= c.open_until then change('half_open') end
  if c.state == 'open' then allowed = 0 end
  if c.state == 'half_open' then
    for name, ends in pairs(c.probes) do
      if ends <= now then c.probes[name] = nil end
    end
    dirty = true
    if first_probe() >= places and not c.probes[token] then
      allowed = 0
    else
      c.probes[token], granted = now + probe_timeout, token
    end
  end
elseif operation == 'settle' and generation == c.generation then
  if c.state == 'closed' then
    if outcome == 'success' and #c.failed > 0 then
      table.remove(c.failed, 1)
      dirty = true
    elseif outcome == 'failure' then
      c.failed[#c.failed + 1], c.reason, dirty = now, reason, true
      if #c.failed >= threshold then change('open') end
    end
  elseif c.state == 'half_open' and c.probes[token] then
    c.probes[token], dirty = nil, true
    if outcome == 'success' then
      c.failed = {}
      change('closed')
    elseif outcome == 'failure' then
      c.reason = reason
      change('open')
    end
  end
end

if dirty then
  local kept = closed_kept
  if c.state ~= 'closed' then kept = math.max(0, c.open_until - now) + open_kept end
  redis.call('SET', KEYS[1], cjson.encode(c), 'PX', math.ceil(kept))
end

local state, wait = c.state, 0
if operation == 'look' and state == 'open' and now >= c.open_until then state = 'half_open' end
if c.state == 'open' then
  wait = math.max(0, c.open_until - now)
elseif c.state == 'half_open' then
  local count, first = first_probe()
  if count >= places then wait = math.min(recovery, math.max(0, first - now)) end
end
return {allowed, state, before, c.generation, #c.failed, c.reason, math.ceil(wait), granted}
"""


class RedisStorage:
    """Circuits shared by everyone who names the same Redis and key prefix."""

    is_remote = True

    def __init__(
        self,
        url: str,
        rules: CircuitRules,
        key_prefix: str,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Name the Redis; nothing is connected yet.

        Args:
            url: ``redis://[user:password@]host:port/db``; also ``rediss://`` and ``unix://``.
            rules: When to open and close.
            key_prefix: First part of every key.
            clock: Seconds, in place of the server's time; for tests.

        Raises:
            ConfigurationError: The package `redis` is not installed, or the URL cannot be read.
        """
        self._where = safe_url(url)
        self._prefix = key_prefix
        self._clock = clock
        self._client = _connect(url)
        self._script: Script = self._client.register_script(_SCRIPT)
        self._numbers = (
            rules.failure_threshold,
            _ms(rules.recovery_timeout_s),
            _ms(rules.window_s),
            rules.half_open_max_calls,
            _ms(rules.probe_timeout_s),
            _ms(rules.closed_kept_s),
            _ms(OPEN_KEPT_S),
        )

    def check(self) -> None:
        """Make sure that the server answers.

        Raises:
            ConfigurationError: It does not.
        """
        from langchain_tamma_openai.errors import ConfigurationError, StorageError

        try:
            with self._translating():
                self._client.ping()
        except StorageError as error:
            raise ConfigurationError(
                f"storage: {error}; start Redis there, name another one, or use memory://",
                param="storage",
            ) from error

    def admit(self, name: str) -> Step:
        """Decide whether a call may go out; see `Circuit.admit`.

        Raises:
            StorageError: Redis cannot be asked.
        """
        return self._run(name, "admit", token=uuid4().hex)

    def settle(self, name: str, permit: Step, outcome: Outcome, reason: str) -> Step:
        """Take note of how a call ended; see `Circuit.settle`.

        Raises:
            StorageError: Redis cannot be asked.
        """
        return self._run(
            name,
            "settle",
            token=permit.token or "",
            generation=permit.generation,
            end=(outcome.value, reason),
        )

    def look(self, name: str) -> Step:
        """Say what the next call would find.

        Raises:
            StorageError: Redis cannot be asked.
        """
        return self._run(name, "look")

    def forget(self, name: str) -> None:
        """Close a circuit by hand, for everyone.

        Raises:
            StorageError: Redis cannot be asked.
        """
        with self._translating():
            self._client.delete(self._key(name))

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    def _run(
        self,
        name: str,
        operation: str,
        *,
        token: str = "",
        generation: int = 0,
        end: tuple[str, str] = ("", ""),
    ) -> Step:
        now_ms = -1 if self._clock is None else _ms(self._clock())
        call = (token, generation, *end)
        with self._translating():
            answer = self._script(
                keys=[self._key(name)], args=[operation, now_ms, *self._numbers, *call]
            )
        return _step(cast("list[int | str]", answer))

    @contextmanager
    def _translating(self) -> Iterator[None]:
        import redis

        try:
            yield
        except (redis.RedisError, OSError) as error:
            from langchain_tamma_openai.errors import StorageError

            raise StorageError(f"Redis at {self._where} cannot be used ({error})") from error


def _step(answer: list[int | str]) -> Step:
    allowed, state, previous, generation, failures, reason, wait_ms, token = answer
    return Step(
        state=CircuitState(str(state)),
        previous=CircuitState(str(previous)),
        generation=int(generation),
        failures=int(failures),
        reason=str(reason),
        retry_after_s=int(wait_ms) / 1000,
        allowed=bool(allowed),
        token=str(token) or None,
    )


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _connect(url: str) -> redis.Redis:
    from langchain_tamma_openai.errors import ConfigurationError

    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ConfigurationError(
            f"storage: {safe_url(url)} needs the package redis; "
            'install it with: pip install "langchain-tamma-openai[redis]"',
            param="storage",
        ) from error
    try:
        return redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # Once more at once: a connection that lay idle may have been closed by the server.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError as error:
        raise ConfigurationError(
            f"storage: {safe_url(url)} cannot be read as a Redis URL ({error}); "
            "give redis://host:6379/0",
            param="storage",
        ) from error
