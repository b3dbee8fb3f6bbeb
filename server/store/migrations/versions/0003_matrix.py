"""Talk in rooms, and rooms that know no threads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("forum_id", _Id, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("opener_id", _Id, nullable=True),
        sa.Column("lines_id", _Id, nullable=True),
        sa.Column("lines", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("began_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["forum_id"], ["forums.id"], name=op.f("fk_conversations_forum_id")),
        sa.ForeignKeyConstraint(["opener_id"], ["posts.id"], name=op.f("fk_conversations_opener_id")),
        sa.ForeignKeyConstraint(["lines_id"], ["posts.id"], name=op.f("fk_conversations_lines_id")),
        sa.PrimaryKeyConstraint("forum_id", "channel", name=op.f("pk_conversations")),
    )
    op.create_index(op.f("ix_conversations_lines_id"), "conversations", ["lines_id"], unique=False)
    op.add_column("posts", sa.Column("chat", sa.String(), server_default="", nullable=False))
    op.add_column(
        "subscriptions", sa.Column("members_only", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("subscriptions", sa.Column("filling", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("forums", sa.Column("plain_replies", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "decisions",
        sa.Column("post_id", _Id, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("approved", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("refs", sa.Text(), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_decisions_post_id")),
        sa.PrimaryKeyConstraint("post_id", name=op.f("pk_decisions")),
    )
    op.add_column("held", sa.Column("line", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "flags",
        sa.Column("id", _Id, autoincrement=True, nullable=False),
        sa.Column("forum_id", _Id, nullable=False),
        sa.Column("post_id", _Id, nullable=False),
        sa.Column("part", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("person_id", _Id, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        sa.Column("at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reported_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["forum_id"], ["forums.id"], name=op.f("fk_flags_forum_id")),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_flags_post_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_flags_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flags")),
        sa.UniqueConstraint("post_id", "part", "person_id", name=op.f("uq_flags_post_id_part_person_id")),
    )
    op.create_index(op.f("ix_flags_forum_id"), "flags", ["forum_id"], unique=False)
    op.create_table(
        "mentions",
        sa.Column("post_id", _Id, nullable=False),
        sa.Column("person_id", _Id, nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_mentions_post_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_mentions_person_id")),
        sa.PrimaryKeyConstraint("post_id", "person_id", name=op.f("pk_mentions")),
    )
