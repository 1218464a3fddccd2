"""Conversations: several short messages of one sender within some minutes are one report.

People write as they speak: "ada bagi2 uang", "di desa X", "tadi malam". The first message opens a report, and what
belongs to it extends that report under its id. What is remembered of a sender are his last conversations, under the
keyed hash of the sender and with each message sealed as it stood in the stream; it expires by itself.

A message that is delivered again finds its own place, and its conversation as it has become meanwhile: so no retry and
no crash changes what is joined. A replay decides nothing anew: it brings along what the stored report was joined from.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from redis.asyncio import Redis

from services.ingest.adapters import Draft
from services.ingest.asking import CONVERSATION_SECONDS, CONVERSATIONS, answered_key
from shared.bus.healing import answered
from shared.contracts import MOST_PARTS
from shared.observability import metrics

REMEMBERED_SECONDS = 48 * 3600
"""So long after the sender's last message an edit still finds its conversation; nobody can edit later."""
MOST_CHARACTERS = 1_000
"""Longest text of all messages of a conversation together: what is longer tells a story of its own."""
MOST_CONVERSATIONS = 20

# Write only what was decided on what still stands there.
_WRITE = """
local known = redis.call('GET', KEYS[1])
if (known and redis.sha1hex(known) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """One message of a conversation, as it is remembered.

    Attributes:
        entry: its entry in the stream of submissions, the body sealed.
        at_ms: when it was first received; an edit keeps its place.
        characters: length of its text.
        place: code of the region or district that its words name.
        placed, dated: whether it says where and when; if not, its reporter may have been asked.
    """

    entry: dict[bytes, bytes]
    at_ms: int
    characters: int
    place: str
    placed: bool
    dated: bool

    @property
    def receipt(self) -> str:
        """The receipt of this message."""
        return self.entry[b"receipt"].decode()

    @property
    def received_ms(self) -> int:
        """When it was received as it reads now."""
        return int(self.entry[b"received_ms"])


class Conversation(msgspec.Struct, frozen=True, array_like=True):
    """The messages of one report, in order; `opener` is the receipt of the one whose id the report has."""

    opener: str
    turns: tuple[Turn, ...]

    @property
    def placed(self) -> bool:
        """Whether any message says where."""
        return any(turn.placed for turn in self.turns)

    @property
    def dated(self) -> bool:
        """Whether any message says when."""
        return any(turn.dated for turn in self.turns)

    @property
    def last_ms(self) -> int:
        """When the last message was received."""
        return self.turns[-1].at_ms


@dataclass(frozen=True, slots=True)
class Said:
    """A message, who sent it, and how long after another of the same sender it may still belong to it."""

    source: str
    sender: str
    turn: Turn
    window_ms: int
    replayed: bool = False


class Conversations:
    """Finds the conversation of each message, and remembers the message.

    Args:
        redis: where it is remembered.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def take(self, messages: Sequence[Said]) -> list[Conversation]:
        """The conversation that each message belongs to once all of them are taken in, in their order.

        Raises:
            DependencyAwayError: Redis does not answer; nothing may pass on unjoined.
        """
        waiting: dict[tuple[str, str], list[Said]] = {}
        for one in messages:
            waiting.setdefault((one.source, one.sender), []).append(one)
        found: dict[tuple[str, str], list[Conversation]] = {}
        while open_ := {who: theirs for who, theirs in waiting.items() if who not in found}:
            found |= await answered(self._decide(open_), "Redis, which remembers conversations,")
        taken = [_conversation_of(one.turn, found[one.source, one.sender]) for one in messages]
        metrics.messages_joined.inc(sum(len(conversation.turns) > 1 for conversation in taken))
        return taken

    async def _decide(self, waiting: Mapping[tuple[str, str], list[Said]]) -> dict[tuple[str, str], list[Conversation]]:
        """What became of each sender's conversations; without those that another process changed meanwhile."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for who in waiting:
                pipe.get(conversation_key(*who))
                pipe.get(answered_key(*who))
            answers = await pipe.execute()
        found: dict[tuple[str, str], list[Conversation]] = {}
        writes: list[tuple[tuple[str, str], bytes, bytes]] = []
        for (who, messages), stored, asked in zip(waiting.items(), answers[::2], answers[1::2], strict=True):
            conversations = unpack(stored) if stored else []
            for one in messages:
                conversations = listen(conversations, one, asked=(asked or b"").decode())
            found[who] = conversations
            if (encoded := pack(conversations)) != stored:
                writes.append((who, stored, encoded))
        if writes:
            async with self._redis.pipeline(transaction=False) as pipe:
                for who, stored, encoded in writes:
                    version = hashlib.sha1(stored, usedforsecurity=False).hexdigest() if stored else ""
                    pipe.eval(_WRITE, 1, conversation_key(*who), version, encoded, REMEMBERED_SECONDS)
                written = await pipe.execute()
            for (who, _, _), done in zip(writes, written, strict=True):
                if not done:
                    del found[who]
        return found


def conversation_key(source: str, sender: str) -> str:
    """The Redis key of a sender's conversations; `salingjaga forget` finds it by the sender in its name."""
    return f"{CONVERSATIONS}messages:{source}:{sender}"


def listen(conversations: Sequence[Conversation], said: Said, *, asked: str = "") -> list[Conversation]:
    """A sender's conversations, the oldest first, once a message is taken in; `asked`: the receipt asked about."""
    turn = said.turn
    for place, known in enumerate(conversations):
        if any(one.receipt == turn.receipt for one in known.turns):
            return [*conversations[:place], _repeated(known, turn), *conversations[place + 1 :]]
    if said.replayed:
        return list(conversations)
    for place in reversed(range(len(conversations))):
        known = conversations[place]
        if _takes(known, said, asked=any(one.receipt == asked for one in known.turns)):
            turns = tuple(sorted((*known.turns, turn), key=lambda one: one.at_ms))
            others = [*conversations[:place], *conversations[place + 1 :]]
            return _worth_keeping([*others, Conversation(known.opener, turns)])
    return _worth_keeping([*conversations, Conversation(turn.receipt, (turn,))])


def joined(drafts: Sequence[Draft]) -> Draft:
    """What several messages say as one, in their order; a line that is repeated stands once."""
    first = drafts[0]
    lines = dict.fromkeys(line for draft in drafts for line in draft.text.splitlines())
    return replace(
        first,
        text="\n".join(lines),
        title=next((draft.title for draft in drafts if draft.title), ""),
        occurred_at=next((draft.occurred_at for draft in drafts if draft.occurred_at), None),
        region=next((draft.region for draft in drafts if draft.region), ""),
        coordinates=next((draft.coordinates for draft in drafts if draft.coordinates), None),
        url=next((draft.url for draft in drafts if draft.url), ""),
        attachments=tuple(dict.fromkeys(one for draft in drafts for one in draft.attachments)),
    )


def _repeated(known: Conversation, turn: Turn) -> Conversation:
    """The conversation with a message that came before: edited it replaces itself, in its place."""
    turns = tuple(
        msgspec.structs.replace(turn, at_ms=one.at_ms)
        if one.receipt == turn.receipt and one.received_ms < turn.received_ms
        else one
        for one in known.turns
    )
    return Conversation(known.opener, turns)


def _takes(known: Conversation, said: Said, *, asked: bool) -> bool:
    turn = said.turn
    if len(known.turns) >= MOST_PARTS or sum(one.characters for one in (*known.turns, turn)) > MOST_CHARACTERS:
        return False
    if any(_differ(one.place, turn.place) for one in known.turns):
        return False
    if turn.placed and turn.dated and known.placed and known.dated:
        return False  # each says where and when: two reports
    if known.turns[0].at_ms - said.window_ms <= turn.at_ms <= known.last_ms + said.window_ms:
        return True
    answers = (turn.placed and not known.placed) or (turn.dated and not known.dated)
    return asked and answers and known.last_ms < turn.at_ms <= known.last_ms + CONVERSATION_SECONDS * 1000


def _differ(one: str, other: str) -> bool:
    """Whether two places exclude each other: neither lies within the other."""
    return not (one.startswith(other) or other.startswith(one))


def _worth_keeping(conversations: list[Conversation]) -> list[Conversation]:
    """Those that may grow or be edited, by their last message: a closed one of a single message is a plain report."""
    conversations.sort(key=lambda one: one.last_ms)
    newest = conversations[-1].last_ms
    kept = [one for one in conversations if one.last_ms > newest - _lasts_ms(one)]
    return kept[-MOST_CONVERSATIONS:]


def _lasts_ms(one: Conversation) -> int:
    return (REMEMBERED_SECONDS if len(one.turns) > 1 else CONVERSATION_SECONDS) * 1000


def _conversation_of(turn: Turn, conversations: Sequence[Conversation]) -> Conversation:
    for known in conversations:
        if any(one.receipt == turn.receipt for one in known.turns):
            return known
    return Conversation(turn.receipt, (turn,))


pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(list[Conversation]).decode
