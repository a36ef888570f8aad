"""Accounts: the people who can sign in here."""

import hashlib
import unicodedata
from typing import Final

from psycopg.rows import class_row

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.identity.errors import AccountDisabled, BadName, NameTaken, UnknownAccount, WrongPassword
from openstage.identity.guesses import Guesses
from openstage.identity.models import Account, AccountState
from openstage.identity.passwords import Passwords, require_good

LONGEST_NAME: Final = 40
COLUMNS: Final = "id, name, state, created_at, signed_in_at"


class Accounts:
    """What can be done with accounts."""

    def __init__(self, database: Database, guesses: Guesses) -> None:
        self._database = database
        self._guesses = guesses
        self._passwords = Passwords()

    async def create(self, name: str, password: str) -> Account:
        """Make an account.

        Raises:
            BadName: it can't be a name.
            NameTaken: somebody has it.
            BadPassword: too short, too long, or obvious.

        """
        shown = acceptable_name(name)
        require_good(password, name=shown)
        kept = await self._passwords.hash(password)
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(Account)) as rows:
            await rows.execute(
                f"insert into account (name, folded, password) values (%s, %s, %s)"
                f" on conflict (folded) do nothing returning {COLUMNS}",
                (shown, folded(shown), kept),
            )
            if account := await rows.fetchone():
                return account
        raise NameTaken(f"There is an account {shown} already.")

    async def find(self, name: str) -> Account:
        """Return the account of a name, in any spelling; raises UnknownAccount."""
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(Account)) as rows:
            await rows.execute(f"select {COLUMNS} from account where folded = %s", (folded(name),))
            if account := await rows.fetchone():
                return account
        raise UnknownAccount(f"There is no account {storable(name)[:LONGEST_NAME]}; see `openstage user list`.")

    async def list(self, *, limit: int = 100, after: int = 0) -> list[Account]:
        """Return accounts by their number, `limit` at most, those after number `after`."""
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(Account)) as rows:
            await rows.execute(f"select {COLUMNS} from account where id > %s order by id limit %s", (after, limit))
            return await rows.fetchall()

    async def verify(self, name: str, password: str, *, address: str = "") -> Account:
        """Return the account whose name and password these are.

        Args:
            name: as typed.
            password: as typed.
            address: from where it is tried, for the limit on guesses.

        Raises:
            TooManyGuesses: it wasn't even looked at.
            WrongPassword: no such account, or another password.
            AccountDisabled: the password is right.

        """
        target = hashlib.sha256(folded(name).encode("utf-8", "replace")).hexdigest()
        await self._guesses.charge("password", address=address, target=target)
        row = await self._database.fetch_one(
            f"select {COLUMNS}, password from account where folded = %(folded)s", {"folded": folded(name)}
        )
        kept: str | None = row[-1] if row else None
        if not await self._passwords.verify(kept, password) or row is None or kept is None:
            raise WrongPassword("The name or the password is wrong.")
        await self._guesses.refund("password", address=address, target=target)
        account = Account(*row[:-1])
        if account.state == "disabled":
            raise AccountDisabled("This account has been disabled; ask the operator.")
        renewed = await self._passwords.hash(password) if self._passwords.outdated(kept) else kept
        await self._database.fetch_one(
            "update account set signed_in_at = now(), password = %(new)s where id = %(id)s and password = %(old)s"
            " returning id",
            {"id": account.id, "new": renewed, "old": kept},
        )
        return account

    async def set_password(self, name: str, password: str) -> Account:
        """Give an account another password and sign it out everywhere; what it allowed to apps stays.

        Raises:
            UnknownAccount: nobody has this name.
            BadPassword: too short, too long, or obvious.

        """
        account = await self.find(name)
        require_good(password, name=account.name)
        kept = await self._passwords.hash(password)
        async with self._database.transaction() as connection:
            await connection.execute(
                "update account set password = %s, changed_at = now() where id = %s", (kept, account.id)
            )
            await connection.execute("delete from session where account_id = %s", (account.id,))
        return account

    async def set_state(self, name: str, state: AccountState) -> Account:
        """Disable an account, which ends its sessions and all that it allowed to apps; or enable it again.

        Raises:
            UnknownAccount: nobody has this name.

        """
        account = await self.find(name)
        async with self._database.transaction() as connection:
            # Who issues tokens to a person holds this row (`require_active`), so none slips through.
            await connection.execute(
                "update account set state = %s, changed_at = now() where id = %s", (state, account.id)
            )
            if state == "disabled":
                await connection.execute("delete from session where account_id = %s", (account.id,))
                await connection.execute(
                    """
                    update token_family f set revoked_at = now(), ended_by = 'disabled'
                    from end_user u where u.id = f.user_id and u.account_id = %s and f.revoked_at is null
                    """,
                    (account.id,),
                )
        return await self.find(name)


async def require_active(connection: Connection, account_id: int) -> None:
    """Hold an account in the caller's transaction as one that isn't disabled; raises AccountDisabled."""
    cursor = await connection.execute("select state from account where id = %s for share", (account_id,))
    row = await cursor.fetchone()
    if row is None or row[0] != "active":
        raise AccountDisabled("This account has been disabled; ask the operator.")


def acceptable_name(name: str) -> str:
    """Return a name as it is kept and shown; raises BadName."""
    shown = unicodedata.normalize("NFKC", name).strip()
    if not 2 <= len(shown) <= LONGEST_NAME:
        raise BadName(f"A name has 2 to {LONGEST_NAME} characters.")
    # Blanks other than the plain one, controls, directions, private use: what makes two names look alike.
    if "  " in shown or any(letter != " " and unicodedata.category(letter)[0] in "CZ" for letter in shown):
        raise BadName("A name has letters, digits, signs and single blanks.")
    return shown


def folded(name: str) -> str:
    """Return what all spellings of a name have in common: width, case, composition and blanks don't count."""
    once = unicodedata.normalize("NFKC", storable(name)).casefold()
    return "".join(unicodedata.normalize("NFKC", once).split())
