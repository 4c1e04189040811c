import { remedy } from './isolation-probe.js';

describe('remedy', () => {
  const asked = (settings: Record<string, string>) => remedy(false, 100_000, (name) => settings[name]);

  it("knows Ubuntu's block by its name and gives bubblewrap a profile", () => {
    const text = asked({ 'kernel.apparmor_restrict_unprivileged_userns': '1' });
    expect(text).toMatch(/AppArmor.*apparmor_restrict_unprivileged_userns=1.*profile.*\/etc\/apparmor\.d\/bwrap/s);
  });

  it.each([
    [{ 'kernel.unprivileged_userns_clone': '0' }, 'sysctl -w kernel.unprivileged_userns_clone=1'],
    [{ 'user.max_user_namespaces': '0' }, 'sysctl -w user.max_user_namespaces='],
    [{ 'user.max_user_namespaces': '100' }, 'in most containers'],
  ])('answers %j with what helps', (settings, help) => {
    expect(asked(settings)).toContain(help);
    expect(asked(settings)).toContain('LOCAL_DRIVER_ISOLATION=none');
  });

  it('tells root of a uid that does not exist here', () => {
    expect(remedy(true, 2 ** 32)).toContain('LOCAL_UID_BASE');
  });
});
