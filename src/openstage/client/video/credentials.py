"""Who speaks to the server: credentials, and the kinds of authorisation."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """An app's id and its secret; the secret is never shown."""

    client_id: str = ""
    client_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class App:
    """The app speaks for itself (document, section 2)."""

    path = "/api/iqiyi/authorize"

    def parameters(self) -> dict[str, str]:
        """Parameters besides the credentials."""
        return {}

    @property
    def user(self) -> str:
        """Tells users of one app apart, for token stores and the records of uploads."""
        return ""


@dataclass(frozen=True, slots=True)
class Enterprise(App):
    """The app speaks for the enterprise that owns it."""

    path = "/api/enterprise/authorize"


@dataclass(frozen=True, slots=True)
class Person(App):
    """The app speaks for one of its end users."""

    uid: str
    path = "/api/person/authorize"

    def parameters(self) -> dict[str, str]:
        """Parameters besides the credentials."""
        return {"uid": self.uid}

    @property
    def user(self) -> str:
        """Tells users of one app apart."""
        return f"person/{self.uid}"


@dataclass(frozen=True, slots=True)
class Partner(App):
    """The app speaks for a user of a partner platform, known there as `ouid`."""

    ouid: str
    nick: str = ""
    path = "/api/baidu/authorize"

    def parameters(self) -> dict[str, str]:
        """Parameters besides the credentials."""
        return {"ouid": self.ouid, "nick": self.nick}

    @property
    def user(self) -> str:
        """Tells users of one app apart."""
        return f"partner/{self.ouid}"


Grant = App | Enterprise | Person | Partner
