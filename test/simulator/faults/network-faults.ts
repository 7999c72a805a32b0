/** Faults between machines: who reaches whom, connections that break or go deaf, and what becomes of packets. */

import {FAIR_WEATHER} from '../simulated-network.ts';
import type {FaultScene, NetworkFault, Stroke} from './fault-kinds.ts';

type Ways = (readonly [from: string, to: string])[];

/** @returns whether there was anything to strike */
export function strikeNetwork(kind: NetworkFault, scene: FaultScene, {member, ms}: Stroke): boolean {
  const {random, network, members} = scene;
  const {weather} = network;
  switch (kind) {
    case 'loss':
      weather.lossRate = random.below(50) / 100;
      scene.later(ms, () => (weather.lossRate = 0));
      return weather.lossRate > 0;
    case 'duplicate':
      weather.duplicateRate = random.below(50) / 100;
      scene.later(ms, () => (weather.duplicateRate = 0));
      return weather.duplicateRate > 0;
    case 'reorder':
      weather.reorderRate = random.below(50) / 100;
      scene.later(ms, () => (weather.reorderRate = 0));
      return weather.reorderRate > 0;
    case 'slowNetwork':
      weather.delayMsMax = 10 + random.below(random.below(3) === 0 ? 2_000 : 100);
      scene.later(ms, () => (weather.delayMsMax = FAIR_WEATHER.delayMsMax));
      return true;
    case 'slowMember':
      network.setLag(member.name, 10 + random.below(random.below(2) === 0 ? 2_000 : 200));
      scene.later(ms, () => network.setLag(member.name, 0));
      return true;
    case 'linkBreak':
    case 'halfOpen': {
      const id = members[random.below(members.length)].life?.opened?.identity.memberId;
      const {life} = member;
      if (id === undefined || life?.network.connectedSinceMs(id) === undefined) return false;
      if (kind === 'halfOpen') life.network.deafenLink(id);
      else life.clock.enter(() => life.network.breakLink(id));
      return true;
    }
    default: {
      const ways = waysCut(kind, scene, member.name);
      network.cutAll(ways);
      scene.later(ms, () => network.restore(ways));
      return ways.length > 0;
    }
  }
}

/** Which ways a partition takes. */
function waysCut(kind: Partition, {random, members, clients}: FaultScene, chosen: string): Ways {
  const names = members.map(({name}) => name);
  const others = names.filter((name) => name !== chosen);
  switch (kind) {
    case 'isolate':
      return others.flatMap((name) => both(chosen, name));
    case 'oneWay':
      return random.below(2) === 0
        ? others.map((name) => [name, chosen] as const)
        : others.map((name) => [chosen, name] as const);
    case 'halves': {
      const left = names.filter(() => random.below(2) === 0);
      return between(
        left,
        names.filter((name) => !left.includes(name)),
      );
    }
    case 'star':
      // All ways but those over one member.
      return pairs(others).flatMap(([a, b]) => both(a, b));
    case 'bridge': {
      // Two halves, and one member that sees both.
      const left = others.filter((_, place) => place < others.length / 2);
      return between(
        left,
        others.filter((name) => !left.includes(name)),
      );
    }
    case 'ring': {
      // Everybody sees two neighbours, and no two see the same majority.
      const order = shuffled(names, random);
      return pairs(order)
        .filter(([a, b]) => !areNeighbours(order, a, b))
        .flatMap(([a, b]) => both(a, b));
    }
    case 'clientCut': {
      const some = clients.filter(() => random.below(2) === 0);
      const to = random.below(2) === 0 ? [chosen] : names.filter(() => random.below(2) === 0);
      const ways = between(some, to);
      const direction = random.below(3);
      return direction === 0 ? ways : ways.filter(([from]) => some.includes(from) === (direction === 1));
    }
  }
}

type Partition = 'isolate' | 'oneWay' | 'halves' | 'star' | 'bridge' | 'ring' | 'clientCut';

const both = (a: string, b: string): Ways => [
  [a, b],
  [b, a],
];

const between = (left: readonly string[], right: readonly string[]): Ways =>
  left.flatMap((a) => right.flatMap((b) => both(a, b)));

const pairs = (names: readonly string[]): (readonly [string, string])[] =>
  names.flatMap((a, place) => names.slice(place + 1).map((b) => [a, b] as const));

function areNeighbours(order: readonly string[], a: string, b: string): boolean {
  const apart = Math.abs(order.indexOf(a) - order.indexOf(b));
  return apart === 1 || apart === order.length - 1;
}

function shuffled(names: readonly string[], random: FaultScene['random']): string[] {
  const left = [...names];
  return names.map(() => left.splice(random.below(left.length), 1)[0]);
}
