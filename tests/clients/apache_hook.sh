#!/bin/bash
# mod_md's program for dns-01: says to the test what to do with the zone, and waits until it is done.
# $1 is the test's port, as the program's environment is not ours; $2 setup or teardown, $3 the name, $4 the value.
set -eu
sign=-
[ "$2" = setup ] && sign=+
exec 3<>"/dev/tcp/127.0.0.1/$1"
echo "txt$sign $3 $4" >&3
read -r answer <&3
[ "$answer" = ok ]
