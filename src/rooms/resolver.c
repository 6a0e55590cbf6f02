/* The resolver: DNS for all rooms. Nothing is looked up yet in this release, so the room only
 * stands: its process, its walls and its door.
 *
 * SECURITY. Will hear DNS servers, all hostile. Holds the cache. An intruder can lie about names.
 */
#include "rooms/resting.h"

int main(int argc, char **argv)
{
	return room_rest(argc, argv, SANDBOX_RESOLVER, NULL);
}
