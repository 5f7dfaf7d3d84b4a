import socket
import threading

from forbear.cli.listening import listening


def test_an_answer_is_sent_at_once_and_not_kept_for_more():
    """Head and body of an answer are two packets: of a socket that asyncio does not take for TCP's, the second waits
    until the first is acknowledged, which a client does 40 ms later."""
    with listening("127.0.0.1", 0, None) as place:
        connecting = threading.Thread(target=lambda: socket.create_connection(place.socket.getsockname()).close())
        connecting.start()
        accepted, _ = place.socket.accept()
        connecting.join()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_others_are_let_in_with_a_token_that_is_made_where_none_is_given():
    with listening("127.0.0.1", 0, None) as here, listening("0.0.0.0", 0, None) as everywhere:
        assert here.token is None
        assert len(everywhere.token) >= 16
        assert f"127.0.0.1:{everywhere.socket.getsockname()[1]}" in everywhere.hosts
