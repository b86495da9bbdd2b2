"""The community's Python client over WebSockets, with both protocols: calls, sends, groups, streams, errors."""

import queue

import pytest
from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.protocol.messagepack_protocol import MessagePackHubProtocol

DEADLINE = 15


class Client:
    """A connection whose callbacks end up in queues, so that every wait has a deadline."""

    def __init__(self, server, protocol, user=""):
        builder = HubConnectionBuilder().with_url(f"{server}/scale?user={user}")
        if protocol == "messagepack":
            builder = builder.with_hub_protocol(MessagePackHubProtocol())
        self.connection = builder.build()
        self.opened = queue.Queue()
        self.closed = queue.Queue()
        self.messages = queue.Queue()
        self.errors = queue.Queue()
        self.connection.on_open(lambda: self.opened.put(True))
        self.connection.on_close(lambda: self.closed.put(True))
        self.connection.on("M", self.messages.put)
        # This client hands failed calls to one place, not to the call's own callback.
        self.connection.on_error(self.errors.put)
        self.connection.start()
        self.opened.get(timeout=DEADLINE)

    def invoke(self, method, *arguments):
        """Calls a method and waits for its Completion."""
        done = queue.Queue()
        self.connection.send(method, list(arguments), done.put)
        return done.get(timeout=DEADLINE)

    def fail(self, method, *arguments):
        """Calls a method that fails and waits for its error."""
        self.connection.send(method, list(arguments), lambda _: None)
        return self.errors.get(timeout=DEADLINE).error

    def message(self):
        """The arguments of the next call of the client method M."""
        return self.messages.get(timeout=DEADLINE)

    def stop(self):
        self.connection.stop()


@pytest.fixture(params=["json", "messagepack"])
def connect(request, server):
    """Connects clients of one protocol and stops them afterwards."""
    clients = []

    def make(user=""):
        clients.append(Client(server, request.param, user))
        return clients[-1]

    yield make
    for client in clients:
        client.stop()


def test_a_call_is_answered_with_its_result(connect):
    client = connect("ann")
    assert client.invoke("GetUserIdentifier").result == "ann"
    assert client.invoke("Echo", "grüße").result == "grüße"
    assert client.invoke("Echo", {"list": [1, 2.5, None, True]}).result == {"list": [1, 2.5, None, True]}


def test_a_failing_call_is_answered_with_its_error(connect):
    client = connect()
    assert "HubException: no" in client.fail("Throw", "hub", "no")
    assert client.fail("Throw", "other", "secret") == "An unexpected error occurred invoking 'Throw' on the server."
    assert "Method does not exist" in client.fail("Nobody")


def test_everybody_gets_a_send_to_all_and_others_not_the_caller(connect):
    one, two = connect(), connect()
    one.invoke("SendAll", "M", "to all")
    assert (one.message(), two.message()) == (["to all"], ["to all"])
    one.invoke("SendOthers", "M", "to others")
    assert two.message() == ["to others"]
    one.invoke("SendCaller", "M", "to me")
    assert one.message() == ["to me"]


def test_groups_and_users_are_reached(connect):
    member, outsider = connect("member"), connect("outsider")
    member.invoke("Join", "g")
    outsider.invoke("SendGroup", "g", "M", "to the group")
    assert member.message() == ["to the group"]
    member.invoke("Leave", "g")
    outsider.invoke("SendGroup", "g", "M", "to nobody")
    outsider.invoke("SendUser", "member", "M", "to the user")
    assert member.message() == ["to the user"]


def test_a_burst_arrives_whole_and_in_order(connect):
    client = connect()
    client.invoke("Burst", "M", 500)
    assert [client.message() for _ in range(500)] == [[n] for n in range(500)]


def test_a_stream_gives_its_items_and_completes(connect):
    client = connect()
    events = queue.Queue()
    # The library sends before anybody can subscribe, and drops what comes in between: what it sends waits.
    transport, held = client.connection.transport, []
    send, transport.send = transport.send, held.append
    client.connection.stream("Counter", [5, 0]).subscribe(
        {"next": events.put, "complete": lambda _: events.put("complete"), "error": lambda _: events.put("error")}
    )
    transport.send = send
    for message in held:
        send(message)
    assert [events.get(timeout=DEADLINE) for _ in range(6)] == [0, 1, 2, 3, 4, "complete"]


def test_the_server_can_end_the_connection(connect):
    client = connect()
    client.connection.send("Abort", [])
    client.closed.get(timeout=DEADLINE)
