"""ASGI applications hosted by salver: the specification point by point, real applications, WebSockets by RFC 6455."""
