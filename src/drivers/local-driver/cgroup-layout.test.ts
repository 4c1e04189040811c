import { readHierarchies } from './cgroup-layout.js';

const V2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate';

describe('readHierarchies', () => {
  it('finds the place beside a service on version 2', () => {
    expect(readHierarchies(V2, '0::/system.slice/bay.service\n')).toEqual([
      { version: 2, controllers: [], home: '/sys/fs/cgroup/system.slice', inService: true },
    ]);
  });

  it('stays within what a container sees', () => {
    expect(readHierarchies(V2, '0::/\n')).toMatchObject([{ home: '/sys/fs/cgroup' }]);
    expect(readHierarchies(V2, '0::/../other\n')).toMatchObject([{ home: '/sys/fs/cgroup' }]);
    const bound = '40 30 0:33 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory';
    expect(readHierarchies(bound, '8:memory:/docker/abc\n')).toMatchObject([
      { home: '/sys/fs/cgroup/memory', version: 1 },
    ]);
  });

  it('finds each hierarchy of version 1, also those that share one', () => {
    const mounts = [
      '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
      '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
      '40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
      '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw',
    ].join('\n');
    const groups = '9:name=systemd:/user.slice/session-1.scope\n4:memory:/user.slice\n1:cpu,cpuacct:/a/b\n';
    expect(readHierarchies(mounts, groups).map(({ home, inService }) => [home, inService])).toEqual([
      ['/sys/fs/cgroup/cpu,cpuacct/a', false],
      ['/sys/fs/cgroup/memory', false],
      ['/sys/fs/cgroup/systemd/user.slice', false],
    ]);
  });

  it('answers nothing where there is nothing', () => {
    expect(readHierarchies('', '')).toEqual([]);
  });
});
