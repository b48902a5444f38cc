#!/bin/bash
# lego's program for dns-01 (`--dns exec`): says to the test what to do with the zone, and waits until it is done.
# $1 is present or cleanup, $2 the TXT record's name with its last dot, $3 the value; HOOK_PORT comes from the test.
set -eu
name=${2#_acme-challenge.}
sign=-
[ "$1" = present ] && sign=+
exec 3<>"/dev/tcp/127.0.0.1/$HOOK_PORT"
echo "txt$sign ${name%.} $3" >&3
read -r answer <&3
[ "$answer" = ok ]
